"""Errors of a bucket's server, in XML."""

import re
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")


class BucketError(msgspec.Struct, frozen=True, kw_only=True):
    """An error of a bucket's server.

    Args:
        code: Its own name of it: NoSuchKey, AccessDenied ...
        region: Where the bucket is, where it says so.
    """

    code: str
    region: str | None = None


def parse_bucket_error(body: bytes) -> BucketError | None:
    """Read an error; None where the body is none.

    Source: Amazon S3 API Reference, "Error responses".
    """
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    code = _text(root, "Code")
    if root.tag.rpartition("}")[2] != "Error" or code is None or not _CODE.fullmatch(code):
        return None
    region = _text(root, "Region")
    return BucketError(code=code, region=region if region and _REGION.fullmatch(region) else None)


def _text(root: Element, name: str) -> str | None:
    for child in root:
        if str(child.tag).rpartition("}")[2] == name:
            return (child.text or "").strip()
    return None
