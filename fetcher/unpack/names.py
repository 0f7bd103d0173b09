"""Names of members that desktops make by themselves."""

import re

HIDDEN = re.compile(r"(?:^|/)(?:\._|__MACOSX/|\.DS_Store$|Thumbs\.db$)")


def is_hidden(name: str) -> bool:
    """Return whether a member is what a desktop leaves in archives by itself."""
    return HIDDEN.search(name) is not None
