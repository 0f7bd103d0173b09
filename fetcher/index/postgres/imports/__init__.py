"""Imports: their records, what starts and ends them, their secrets, leases, downloads and uploads."""
