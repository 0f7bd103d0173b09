"""The store in a bucket: bytes stream into multipart uploads, and are found by their digest in the end."""
