"""The one loop every byte goes through."""
