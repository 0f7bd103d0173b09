"""Import methods, one file each."""
