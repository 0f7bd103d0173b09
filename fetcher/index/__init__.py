"""The records of images and imports.

`protocol` says which verbs there are, `values` what they take and give: every
other room knows these two. `open_index` gives what the operator has chosen;
`Index` is the index of one machine, in SQLite.
"""

from fetcher.index.opening import open_index
from fetcher.index.sqlite.index import Index

__all__ = ["Index", "open_index"]
