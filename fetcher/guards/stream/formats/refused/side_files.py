"""Files that lie beside an image and are pasted in its place: checksum files, signatures, torrents, pointers.

Specification: GNU coreutils and BSD for checksum files; BEP 3; Git LFS 1; RFC 5854; RFC 9580 section 6.2.
Reads: the first 64 KiB.
Structure: a beginning, or a word near it, that no disk has.
Safety: says to people what they submitted; whether it can be a disk is decided without it.
"""

import re

from fetcher.guards.stream.formats.report import Kind, Role

_START_BYTES = 1024


def _kind(key: str, words: str, hint: str) -> Kind:
    return Kind(key=key, words=words, role=Role.DOCUMENT, hint=hint)


TORRENT = _kind(
    "torrent", "a torrent", "BitTorrent is not spoken here: submit the https URL of the image itself."
)
ZSYNC = _kind("zsync", "a control file of zsync", "Submit the image itself: the same URL without .zsync.")
METALINK = _kind(
    "metalink",
    "a metalink",
    "Submit the URL of the image that it lists, or send the metalink itself as the body of the submission "
    "(Content-Type: application/metalink4+xml).",
)
SUMS = _kind(
    "sums",
    "a checksum file",
    "Submit the URL of the image itself, and give this one as checksum_url.",
)
SIGNATURE = _kind(
    "signature",
    "a signature",
    "Submit the URL of the image itself; a checksum file's signature is given as checksum_signature_url.",
)
POINTER = _kind(
    "pointer",
    "a pointer of Git LFS or git-annex",
    "The repository keeps the file elsewhere: use its download link for the file, not the raw text (on "
    "GitHub under media.githubusercontent.com/media).",
)
STORE_ERROR = _kind(
    "store-error",
    "an error of an object store",
    "The store does not give the object out: check bucket and key, and whether the link has expired.",
)
STORE_LIST = _kind(
    "store-list",
    "the contents of a bucket or folder",
    "Submit the URL of one object in it: add the object's name.",
)
OVF = _kind("ovf", "an OVF descriptor", "It holds no disk: submit the OVA, or the disk file that it names.")
JIGDO = _kind("jigdo", "a jigdo file", "Submit the URL of the image itself, which jigdo only puts together.")
MANIFEST = _kind(
    "manifest",
    "the manifest of an image in a registry",
    "Submit it as oci://HOST/REPOSITORY:TAG.",
)
RELEASE = _kind(
    "release",
    "a release of a forge, as its API tells it",
    "Submit the browser_download_url of the asset; or the asset's own URL in the API, with the header "
    "Accept: application/octet-stream.",
)
SCRIPT = _kind("script", "a script or a configuration", "Submit the URL of the image that it is about.")
ALL = (
    *(TORRENT, ZSYNC, METALINK, SUMS, SIGNATURE, POINTER, STORE_ERROR, STORE_LIST, OVF, JIGDO, MANIFEST),
    *(RELEASE, SCRIPT),
)

_TORRENT = re.compile(
    rb"d(?:8:announce|13:announce-list|7:comment|10:created by|13:creation date|4:info|8:encoding|5:nodes"
    rb"|8:url-list)"
)
BINARY_STARTS = (b"zsync: ", b"d")
"""Beginnings, of which one has to be there for a kind that need not be text throughout."""
_SUMS = re.compile(
    rb"(?:[#;][^\n]*\n|[ \t\r]*\n)*\\?"
    rb"(?:[0-9a-fA-F]{32,128}(?:[ \t]+[*]?[^\n]*)?(?:\r?\n|\Z)"
    rb"|(?:MD5|SHA-?[0-9]{1,3}(?:-[0-9]{3})?|BLAKE2[bs]|RMD160)"
    rb"[ \t]?\([^\n]{1,400}\)[ \t]?=[ \t]?[0-9a-fA-F]{32})",
    re.IGNORECASE,
)
_XML_KINDS = (
    (re.compile(rb"<(?:\w+:)?metalink\b"), METALINK),
    (re.compile(rb"<(?:ListBucketResult|EnumerationResults|(?:\w+:)?multistatus)\b"), STORE_LIST),
    (re.compile(rb"<Error>"), STORE_ERROR),
    (re.compile(rb"<(?:\w+:)?Envelope\b[^>]*ovf"), OVF),
)
_JSON_KINDS = (
    (re.compile(rb'"mediaType"\s*:\s*"application/vnd\.(?:oci|docker)\.'), MANIFEST),
    (re.compile(rb'"browser_download_url"|"url"\s*:\s*"https://api\.github\.com/'), RELEASE),
)
_TEXT_KINDS = (
    (re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/"), POINTER),
    (re.compile(rb"(?:\.\./)*(?:\.git)?/annex/objects/"), POINTER),
    (re.compile(rb"-----BEGIN PGP SIGNED MESSAGE-----\s"), SUMS),
    (
        re.compile(rb"-----BEGIN (?:PGP SIGNATURE|SSH SIGNATURE|PKCS7|CMS)-----\s|untrusted comment:"),
        SIGNATURE,
    ),
    (re.compile(rb"# JigsawDownload|\[Jigdo\]"), JIGDO),
    (re.compile(rb"#!|#cloud-config\b|\.encoding = "), SCRIPT),
    (_SUMS, SUMS),
)


def recognise_binary(head: bytes) -> Kind | None:
    """Find what need not be text throughout: it goes on with digests."""
    if head.startswith(b"zsync: "):
        return ZSYNC
    return TORRENT if _TORRENT.match(head) else None


def recognise_xml(text: bytes) -> Kind | None:
    """Find a kind of XML document."""
    return _first(text, _XML_KINDS)


def recognise_json(text: bytes) -> Kind | None:
    """Find a kind of JSON document."""
    return _first(text, _JSON_KINDS)


def recognise_text(text: bytes) -> Kind | None:
    """Find a kind of plain text by how it begins."""
    start = text[:_START_BYTES].lstrip()
    return next((kind for shape, kind in _TEXT_KINDS if shape.match(start)), None)


def _first(text: bytes, kinds: tuple[tuple[re.Pattern[bytes], Kind], ...]) -> Kind | None:
    start = text[:_START_BYTES]
    return next((kind for shape, kind in kinds if shape.search(start)), None)
