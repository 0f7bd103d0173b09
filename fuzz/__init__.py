"""Harnesses for everything that reads untrusted bytes; each says its invariant on its first line."""
