"""Commands on this machine: its store, its files, its configuration."""
