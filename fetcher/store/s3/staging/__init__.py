"""Bytes on their way into a bucket: staged by one process, under a record that says whose they are."""
