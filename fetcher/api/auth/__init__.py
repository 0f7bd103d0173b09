"""Find out who calls."""
