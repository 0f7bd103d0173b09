"""Tests of the format guard."""
