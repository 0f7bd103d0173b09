"""Records of running imports, their subscribers and their verdicts."""
