"""Senders of images: one file for each kind of receiver, and a list of them."""
