"""Steps from received bytes to a visible image."""
