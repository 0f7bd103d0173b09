"""Hosts on one database, as far as imports are concerned: leases, and what others do."""
