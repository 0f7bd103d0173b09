"""Guards of addresses, redirects and response heads."""
