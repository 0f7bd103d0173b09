"""The papers of an appliance: manifest, descriptor, hardware."""
