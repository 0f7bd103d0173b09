"""Uploads in parts, as servers of buckets speak of them in XML.

Source: Amazon S3 API Reference, "CreateMultipartUpload" and "CompleteMultipartUpload".
"""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

_ID = re.compile(r"[!-~]{1,1024}")
_ETAG = re.compile(r'"?[!#-~]{1,256}"?')


def parse_upload_id(body: bytes) -> str | None:
    """Read the id of an upload that was begun; None where the body is no such answer."""
    found = _child(body, "InitiateMultipartUploadResult", "UploadId")
    return found if found and _ID.fullmatch(found) else None


def is_completed(body: bytes) -> bool:
    """Tell whether an answer says that the object is whole: its status may be 200 and its body an error."""
    return _child(body, "CompleteMultipartUploadResult", "ETag") is not None


def completed_etag(body: bytes) -> str | None:
    """Read the entity tag of an object that is whole."""
    found = _child(body, "CompleteMultipartUploadResult", "ETag")
    return found if found and _ETAG.fullmatch(found) else None


def is_etag(text: str | None) -> bool:
    """Tell whether a part's entity tag may be sent back."""
    return text is not None and _ETAG.fullmatch(text) is not None


def completion(parts: Sequence[tuple[str, str | None]]) -> bytes:
    """Write which parts an object is made of: entity tags, and SHA-256 in base64 where they were sent."""
    root = Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
    for number, (etag, sha256) in enumerate(parts, 1):
        part = SubElement(root, "Part")
        SubElement(part, "PartNumber").text = str(number)
        SubElement(part, "ETag").text = etag
        if sha256 is not None:
            SubElement(part, "ChecksumSHA256").text = sha256
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _child(body: bytes, root_name: str, name: str) -> str | None:
    try:
        root = fromstring(body.strip(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    if str(root.tag).rpartition("}")[2] != root_name:
        return None
    for child in root:
        if str(child.tag).rpartition("}")[2] == name:
            return (child.text or "").strip()
    return None
