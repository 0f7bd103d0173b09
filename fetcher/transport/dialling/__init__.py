"""One connection: names, addresses, TLS, and the bytes of its head."""
