"""Which disk format the bytes are, and whether they are safe to boot from."""
