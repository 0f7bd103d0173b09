"""Guards of the bytes while they stream past."""
