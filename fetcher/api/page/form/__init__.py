"""The form of a submission."""
