"""Take received bytes through the guards to digests and the staged file."""
