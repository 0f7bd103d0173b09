"""The guards of one import, in order, and what each publishes of its limits."""
