"""The lab of the measurements: an origin on loopback, the service on a fresh store."""
