"""The store in a folder: staged files, and blobs named by their address."""
