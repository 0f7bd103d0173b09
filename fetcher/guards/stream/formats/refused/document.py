"""Contents that are neither disk nor archive, but often behind a wrong URL: pages, texts, documents.

Specification: WHATWG MIME Sniffing, sections 6 and 7, for the beginnings; Unicode for what is text.
Reads: the first 64 KiB.
Structure: a known beginning; or no byte that a text does not have, in a whole that is UTF-8 or Latin.
Safety: a raw disk is what nothing else matches, so contents that are no disk are recognised here.
"""

import re

from fetcher.guards.stream.formats.refused import side_files
from fetcher.guards.stream.formats.report import Kind, Report, Role

LOGIN = (
    "The URL may need a login, or lead to a page about the image: use a link that downloads the image itself."
)
WRONG = "The URL leads to something that is no disk image: check it."


def _kind(key: str, words: str, hint: str = WRONG) -> Kind:
    return Kind(key=key, words=words, role=Role.DOCUMENT, hint=hint)


INSIDE = "Unpack it and submit the disk image inside."
LZMA = _kind(
    "lzma",
    "a file packed by lzma",
    "It has no check sum: pack the disk image with `xz`, or submit it unpacked.",
)
HTML = _kind("html", "an HTML page", LOGIN)
XML = _kind("xml", "an XML document")
JSON = _kind("json", "a JSON document", LOGIN)
TEXT = _kind("text", "plain text")
PROGRAM = _kind("program", "a program")
EFI = _kind(
    "efi-program",
    "an EFI program",
    "Put it on a disk with an EFI system partition, as EFI/BOOT/BOOTX64.EFI, and submit that disk.",
)
SUBSYSTEM_AT = 4 + 20 + 68  # In a Portable Executable, behind its signature, its header and more.
EFI_SUBSYSTEMS = range(10, 14)
BEGINNINGS = {
    b"%PDF-": _kind("pdf", "a PDF document"),
    b"\x89PNG\r\n\x1a\n": _kind("image", "a picture"),
    b"GIF8": _kind("image", "a picture"),
    b"\xff\xd8\xff": _kind("image", "a picture"),
    b"!<arch>\n": _kind("ar", "a Debian package or a library"),
    b"\xed\xab\xee\xdb": _kind("rpm", "an RPM package"),
    b"SQLite format 3\0": _kind("sqlite", "an SQLite database"),
    b"Rar!\x1a\x07": _kind("rar", "a RAR archive", INSIDE),
    b"MSCF": _kind("cab", "a cabinet archive", INSIDE),
    **dict.fromkeys((b"\x1f\x9d", b"\x1f\xa0"), _kind("compress", "a file packed by compress", INSIDE)),
    b"LZIP\1": _kind("lzip", "a file packed by lzip", INSIDE),
    b"LRZI": _kind("lrzip", "a file packed by lrzip", INSIDE),
    b"\x89LZO\0\r\n\x1a\n": _kind("lzop", "a file packed by lzop", INSIDE),
    b"xar!\0\x1c": _kind("xar", "a xar archive", INSIDE),
    b"070707": _kind(
        "old-cpio",
        "a cpio archive of the old form",
        "Linux unpacks only the new form as a ramdisk: make it with `cpio -H newc`.",
    ),
    b"MSWIM\0\0\0": _kind("wim", "a Windows image file", "Apply it to a disk and submit that disk."),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": _kind("ole", "an Office document or an installer"),
    b"\xca\xfe\xba\xbe": _kind("program", "a program"),
    b"VMA\0\0\0\0\1": _kind(
        "vma", "a Proxmox backup", "Take the disk out with `vma extract`, or restore it, and submit the disk."
    ),
    b"\x3a\xff\x26\xed\1\0": _kind(
        "simg", "an Android sparse image", "Convert it: `simg2img SOURCE TARGET`."
    ),
    b"OggS": _kind("media", "a sound or a film"),
    b"ID3": _kind("media", "a sound or a film"),
    b"fLaC": _kind("media", "a sound or a film"),
    b"\x1a\x45\xdf\xa3": _kind("media", "a sound or a film"),
    b"wOFF": _kind("font", "a font"),
    b"wOF2": _kind("font", "a font"),
    b"8BPS": _kind("image", "a picture"),
}
HTML_BEGINNINGS = (b"<!doctype html", b"<!--")
HTML_TAG = re.compile(
    rb"<(?:html|head|body|script|title|meta|iframe|h1|h2|div|font|table|a|style|b|br|p|center|pre|form|link|img)[\s>/]"
)
INSIDE_BEGINNINGS = (
    (0, b"RIFF", 8, (b"WAVE", b"AVI ", b"WEBP"), _kind("media", "a sound, a film or a picture")),
    (
        4,
        b"ftyp",
        8,
        (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ", b"M4A ", b"qt  "),
        _kind("media", "a film"),
    ),
)
"""Formats that are recognised by two words, the second one of a few."""
NO_TEXT = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"
UTF_8_MARK = b"\xef\xbb\xbf"
WIDE_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
ASCII = bytes(range(128))
SHOWN_BYTES = 1024
SIGNS = (
    (0, (*BEGINNINGS, *side_files.BINARY_STARTS, *WIDE_MARKS, b"\x7fELF", b"MZ", b"\x5d")),
    *((at, (magic,)) for at, magic, _second_at, _seconds, _kind in INSIDE_BEGINNINGS),
)
"""Bytes of which some have to be there, unless it is a text."""
LONGEST_CHARACTER = 4
LEAST_ASCII = 0.7  # Of a text in an old eight-bit encoding.


def recognise(head: bytes) -> Report | None:
    """Find a document; counts only where nothing else is found."""
    kind = _kind_of_bytes(head)
    if kind is None:
        text = _as_text(head)
        if text is None:
            return None
        kind = _kind_of_text(text)
    return Report(kind=kind, name=kind.words)


def _kind_of_bytes(head: bytes) -> Kind | None:
    """Find what a program wrote for programs."""
    for beginning, kind in BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    for at, magic, second_at, seconds, kind in INSIDE_BEGINNINGS:
        if head.startswith(magic, at) and head.startswith(seconds, second_at):
            return kind
    if _is_program(head):
        return EFI if _is_efi(head) else PROGRAM
    return side_files.recognise_binary(head) or (LZMA if _is_lzma(head) else None)


def _is_program(head: bytes) -> bool:
    """Answer whether it has the headers of a Portable Executable, or of ELF."""
    at = int.from_bytes(head[60:64], "little")
    return head[:4] == b"\x7fELF" or (head[:2] == b"MZ" and head[at : at + 4] == b"PE\0\0")


def _is_efi(head: bytes) -> bool:
    """Answer whether firmware runs it: a boot loader, or a kernel with all that it needs in one file."""
    at = int.from_bytes(head[60:64], "little") + SUBSYSTEM_AT
    return head[:2] == b"MZ" and int.from_bytes(head[at : at + 2], "little") in EFI_SUBSYSTEMS


def _is_lzma(head: bytes) -> bool:
    """Answer whether it begins as LZMA's files before .xz did, with the properties that every writer uses.

    Source: XZ Utils, doc/lzma-file-format.txt: the dictionary is a power of two, the size unknown or less
    than 2^38.
    """
    dictionary, size = (int.from_bytes(head[at:end], "little") for at, end in ((1, 5), (5, 13)))
    is_size = size == (1 << 64) - 1 or 0 < size < 1 << 38
    return head[:1] == b"\x5d" and dictionary >= 4096 and not dictionary & (dictionary - 1) and is_size


def _as_text(head: bytes) -> bytes | None:
    """Return a text in an encoding that has ASCII in it, or None if this is no text."""
    encoding = WIDE_MARKS.get(head[:2])
    if encoding:
        head = head[2 : len(head) // 2 * 2].decode(encoding, "replace").encode("utf-8", "replace")
        return head if _is_plain(head) and _ascii_share(head) >= LEAST_ASCII else None
    head = head.removeprefix(UTF_8_MARK)
    if not head or not _is_plain(head):
        return None
    return head if _is_utf_8(head) or _ascii_share(head) >= LEAST_ASCII else None


def _is_plain(text: bytes) -> bool:
    # What is no text nearly always shows it at once; to look through all of it takes a tenth of a ms.
    return all(part.translate(None, NO_TEXT) == part for part in (text[:SHOWN_BYTES], text))


def _is_utf_8(text: bytes) -> bool:
    """Answer whether it is UTF-8, but for a last character that the head may have cut."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(text) - LONGEST_CHARACTER and len(text) > LONGEST_CHARACTER
    return True


def _ascii_share(text: bytes) -> float:
    return 1 - len(text.translate(None, ASCII)) / max(len(text), 1)


def _kind_of_text(text: bytes) -> Kind:
    start = text[:1024].lstrip().lower()
    if start.startswith(HTML_BEGINNINGS) or HTML_TAG.match(start) or b"<html" in start:
        return HTML
    if start.startswith(b"<"):
        return side_files.recognise_xml(text) or (XML if start.startswith(b"<?xml") else TEXT)
    if start[:1] == b"{" or (start[:1] == b"[" and not start.startswith(b"[jigdo]")):
        return side_files.recognise_json(text) or JSON
    return side_files.recognise_text(text) or TEXT
