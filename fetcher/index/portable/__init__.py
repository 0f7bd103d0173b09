"""Verbs whose SQL both databases understand, written once: what is asked seldom, and by few rows."""
