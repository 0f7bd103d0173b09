"""Names in archives and appliances, as text."""

import re
from urllib.parse import unquote

HIDDEN = re.compile(r"(?:^|/)(?:\._|__MACOSX/|\.DS_Store$|Thumbs\.db$)")


def read_name(name: bytes) -> str:
    """Return a name as text: UTF-8, or what old systems wrote, for which no header names an encoding."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def spellings(reference: str) -> tuple[str, ...]:
    """Return the names that a reference may mean: it is a URI, which not every writer encodes."""
    decoded = unquote(reference)
    return (reference,) if decoded == reference else (reference, decoded)


def is_hidden(name: str) -> bool:
    """Return whether a member is what a desktop leaves in archives by itself."""
    return HIDDEN.search(name) is not None
