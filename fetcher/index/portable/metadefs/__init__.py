"""Metadata definitions: namespaces, and the items in them."""
