"""The sections that hold the limits of guards, named after them."""
