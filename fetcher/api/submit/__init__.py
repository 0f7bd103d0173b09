"""The submit-a-URL API."""
