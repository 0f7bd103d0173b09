"""Formats and files that are named to the submitter and refused."""
