"""Names what is none of ours, in words; the one file that knows python-magic, which may be missing.

The name is for the message alone: no verdict depends on it. libmagic's media
type is used, never its description, because descriptions repeat what the
content says of itself.
"""

import re
from collections.abc import Callable
from functools import cache

NAMED_BYTES = 34_816  # What libmagic needs to see a disc; nothing it can name needs more.
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}/[a-z0-9][a-z0-9.+-]{0,60}")
STRONG = re.compile(
    r"application/(?:pdf|postscript|java-archive|epub\+zip|x-(?:rpm|archive|rar|sqlite3|xar|lzip|lzop)"
    r"|vnd\.(?:debian\.binary-package|ms-cab-compressed|rar|oasis\.opendocument\..*|openxmlformats-.*))"
    r"|image/(?:png|jpeg|gif|webp|tiff|svg\+xml)|audio/(?:ogg|flac|x-wav|mp4|midi)"
    r"|video/(?:mp4|webm|x-matroska|quicktime|x-msvideo|x-ms-asf)|font/(?:ttf|otf|woff|woff2)"
    r"|text/(?:html|xml|x-shellscript)"
)
"""Contents that libmagic knows by more than three bytes; of firmware and noise it makes names at random."""
FAMILIES = {
    "audio": "a sound",
    "video": "a film",
    "image": "a picture",
    "font": "a font",
    "message": "a mail",
    "text": "a text",
}


@cache
def _namer() -> Callable[[bytes], str] | None:
    """Load libmagic's database once, when something has to be named for the first time."""
    try:
        import magic

        namer: Callable[[bytes], str] = magic.Magic(mime=True).from_buffer
    except Exception:  # noqa: BLE001 # a missing or broken libmagic must cost the name only
        return None
    return namer


def name_content(head: bytes) -> str | None:
    """Return words for the beginning of some content: "a PDF document"; None where there are none."""
    namer = _namer()
    if namer is None:
        return None
    try:
        media_type = namer(head[:NAMED_BYTES])
    except Exception:  # noqa: BLE001 # whatever libmagic stumbles over, there is just no name
        return None
    if not MEDIA_TYPE.fullmatch(media_type) or not STRONG.fullmatch(media_type):
        return None
    return f"{FAMILIES.get(media_type.partition('/')[0], 'a file')} of type {media_type}"
