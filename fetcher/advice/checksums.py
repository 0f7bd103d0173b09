"""Advice on checksums that do not agree, and files that give none."""

from fetcher.advice.facts import Cases

CASES: Cases = {
    "checksum-mismatch": (
        (
            {"source": "sums"},
            (
                "Use the checksum file of the same folder and release as the image; if they belong "
                "together, the file was changed or damaged."
            ),
        ),
        (
            {"source": "header"},
            "The bytes were damaged on their way or at the source: submit the URL again, or use a mirror.",
        ),
    ),
    "checksum-file-unusable": (
        (
            {"kind": "page"},
            "Give the URL of the checksum file itself as checksum_url, not that of a page about it.",
        ),
        ({"kind": "json"}, "Give the digest in it as checksum=ALGORITHM:HEX."),
        ({"kind": "empty"}, "Use another checksum_url, or give the digest as checksum=ALGORITHM:HEX."),
        (
            {"kind": "signature"},
            "Give it as checksum_signature_url, and the file that it signs as checksum_url.",
        ),
        ({"kind": "binary"}, "Give the URL of the checksum file as checksum_url, not that of an image."),
        (
            {"kind": "algorithms"},
            "Use the publisher's SHA-256 or SHA-512 file, or give such a digest as checksum=ALGORITHM:HEX.",
        ),
        (
            {"kind": ("unlisted", "ambiguous")},
            (
                "Submit the image by the name that is listed, use the checksum file of its folder, or give "
                "the digest as checksum=ALGORITHM:HEX."
            ),
        ),
        (
            {"kind": "unsigned"},
            "Use the publisher's signed checksum file, or ask the operator to trust its key.",
        ),
        (
            {"kind": "expired-key"},
            "Ask the operator to put the publisher's renewed certificate into sums.keys.",
        ),
        (
            {"kind": "revoked-key"},
            (
                "Use a checksum file that the publisher signed with another key, which the operator has to "
                "trust; what this one signed may be forged."
            ),
        ),
    ),
}
