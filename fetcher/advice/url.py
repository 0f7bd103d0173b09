"""Advice on URLs that are refused before anything is looked up."""

import re

from fetcher.advice.facts import Cases

CASES: Cases = {
    "url-invalid": (
        (
            {"rule": "port", "reason": re.compile("no number")},
            "Correct the port; /, # and ? in a password before it are written %2F, %23 and %3F.",
        ),
        (
            {"rule": "port"},
            "Use a URL with an allowed port, or ask the operator to add this one to url.ports.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme docker ")},
            "Submit it as oci://HOST/REPOSITORY:TAG, with the registry's host.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme gs ")},
            (
                "Submit https://storage.googleapis.com/BUCKET/OBJECT, or a signed link where the object is "
                "not public."
            ),
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme (az|abfss|wasbs) ")},
            "Submit https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB, with a signature (SAS) if need be.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme arn ")},
            "Submit s3://BUCKET/KEY, or a signed https link.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme (ftps?|rsync|nfs|smb|sftp|scp|ssh) ")},
            "Use a mirror that offers the file by https, as most do; or fetch it yourself and upload it.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme file ")},
            "Files on this machine are not read: upload it.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme magnet ")},
            "BitTorrent is not spoken here: submit the https URL of the image itself.",
        ),
        (
            {"rule": "scheme", "reason": re.compile("scheme git")},
            "Submit the https link that downloads the file, not that of the repository.",
        ),
        ({"rule": "scheme"}, "Submit one URL that begins with https:// or another accepted scheme."),
        (
            {"rule": "literal"},
            "Use the host name of the source, or ask the operator to allow addresses (url.allow_literals).",
        ),
        (
            {"rule": "host-name"},
            "Use a public host, or ask the operator to add this one to url.allow_hosts.",
        ),
        (
            {"rule": "host", "reason": re.compile("IDNA")},
            "Write the host in lower case as browsers show it, or in its ASCII form (xn--...).",
        ),
        ({"rule": "escape"}, "Write a % that stands for itself as %25."),
        (
            {"rule": "characters", "reason": re.compile("backslash")},
            "Take the backslashes out: shells need them before ? and &, URLs do not.",
        ),
        (
            {"rule": "characters"},
            "Submit the URL alone and in one line; a blank inside it is written %20.",
        ),
        (
            {"rule": "userinfo"},
            (
                "Give credentials in headers; in a URL they are taken from the image's own alone, with @, /, "
                "# and ? in a password escaped (%40, %2F, %23, %3F)."
            ),
        ),
        ({"rule": "fragment"}, "Submit the URL without the part from # on."),
        ({"rule": "length"}, "Submit a shorter URL, for example the one that it redirects to."),
    ),
}
