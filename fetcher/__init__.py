"""Glance Fetcher: submit a URL, get an image."""

__version__ = "0.1.0"
