"""Several hosts of one service, on a real database."""
