"""Where measurements take place: an origin on loopback, the service on a fresh store."""
