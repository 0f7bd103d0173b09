"""Answers as types: the API document is made from them."""
