"""The sections about where records and bytes are, and about the hosts that share them."""
