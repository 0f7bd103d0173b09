"""Decide which import runs next, and bound rates, slots and connections."""
