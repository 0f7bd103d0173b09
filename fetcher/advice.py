"""Advice for a person who sees a failure: one reviewed table of (code, facts) and a sentence.

Rows of a code are read from the top; the first whose facts fit speaks. A fact fits when it equals the
row's, or is among the row's several, or when the row's pattern is found in it. What no row is for is
answered by the `advice` of the class.
"""

import re
from collections.abc import Iterator

from fetcher.errors import Failure, readable, table

Facts = dict[str, object]

_SERVER = tuple(range(500, 600))
_HEADERS = "give what it asks for in headers (--header on the command line), for example Authorization"
_ROLE = re.compile(r"only an admin|needs the role|needs one of the roles|for operators|only services")

CASES: dict[str, tuple[tuple[Facts, str], ...]] = {
    "url-invalid": (
        (
            {"rule": "port"},
            "Use a URL with an allowed port, or ask the operator to add this one to url.ports.",
        ),
        ({"rule": "scheme"}, "Submit a URL that begins with https:// or another accepted scheme."),
        (
            {"rule": "userinfo"},
            "Give credentials in headers; in a URL they are taken from the image's own alone.",
        ),
        ({"rule": "fragment"}, "Submit the URL without the part from # on."),
        ({"rule": "length"}, "Submit a shorter URL, for example the one that it redirects to."),
    ),
    "source-unreachable": (),
    "bucket-refused": (
        (
            {"error": "NoSuchKey"},
            "Check the key: it is taken as the console shows it, capital letters and blanks included.",
        ),
        (
            {"error": "NoSuchBucket"},
            "Check the name of the bucket, and give the endpoint of the server that it is at.",
        ),
        (
            {"error": "AccessDenied", "anonymous": True},
            (
                "The object is not public, or does not exist: give access_key_id and secret_access_key "
                "of who may read it in s3, or a signed https link."
            ),
        ),
        (
            {"error": "AccessDenied"},
            (
                "These credentials may not read the object, or it does not exist: allow them s3:GetObject, "
                "check the key, or give a signed https link."
            ),
        ),
        (
            {"error": "SignatureDoesNotMatch"},
            "Check secret_access_key: it belongs to another access_key_id, or was cut off when copied.",
        ),
        (
            {"error": ("InvalidAccessKeyId", "InvalidToken", "ExpiredToken")},
            (
                "Check access_key_id at this endpoint; temporary credentials need their session_token, and "
                "new ones after they have expired."
            ),
        ),
        (
            {"error": "RequestTimeTooSkewed"},
            "The clocks of this service and of the bucket's server differ: have the operator set the time.",
        ),
        (
            {"error": "InvalidObjectState"},
            "The object is archived: restore it (aws s3api restore-object), wait, and submit it again.",
        ),
        (
            {"error": ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed")},
            "The bucket is in another region: give that region in s3.region, or the region's own endpoint.",
        ),
        ({"error": ("SlowDown", "ServiceUnavailable", "InternalError")}, "Submit the URL again later."),
        (
            {"error": "InvalidRequest"},
            "Check the endpoint: objects that are encrypted with a key of their owner's cannot be read.",
        ),
    ),
    "registry-unusable": (
        (
            {"rule": "realm"},
            (
                "Ask the operator to add the host of the registry's tokens to oci.token_hosts, or give a "
                "token of your own in headers, as Authorization: Bearer."
            ),
        ),
        (
            {"rule": "architecture"},
            "Set the property hw_architecture to one of those that there are, such as x86_64 or aarch64.",
        ),
        ({"rule": "disk"}, "Set disk to the title of one of the files, or to its number."),
        (
            {"rule": "login"},
            "Give user and password in headers, as Authorization: Basic; a token as Authorization: Bearer.",
        ),
        ({"rule": "digest"}, "Submit it again; if it stays so, the registry is broken: use another one."),
    ),
    "tls-failed": (
        (
            {"reason": re.compile("authority|signed by itself")},
            "Give the certificate of the source's authority as ca_pem, or use another mirror.",
        ),
        (
            {"reason": re.compile("expired|not valid yet")},
            "Have the source renew its certificate, or use another mirror.",
        ),
        (
            {"reason": re.compile("another (name|address)")},
            "Use the host name that the certificate is for, or another mirror.",
        ),
        (
            {"reason": re.compile("client certificate")},
            (
                "Give client_certificate_pem and client_key_pem where GET /limits says that they are taken, "
                "or use a URL that asks for no client certificate."
            ),
        ),
        (
            {"reason": re.compile("no secure connection")},
            "Have the source offer TLS 1.2 or later with a present-day cipher, or use another mirror.",
        ),
    ),
    "too-many-redirects": (
        (
            {"cookie": True},
            (
                "The source wants a cookie, which means a login or a page to agree to: use a direct link, "
                "or send the cookie in headers."
            ),
        ),
        (
            {"circle": True},
            (
                "The URL redirects to itself: open it in a browser to find the file's own URL, and submit "
                "that one."
            ),
        ),
        ({}, "Submit the last URL among the redirects of this import."),
    ),
    "bad-redirect": (
        (
            {"reason": re.compile("https to http.*checksum")},
            "Submit the URL again with a checksum, so that changed bytes are found out.",
        ),
        ({"reason": re.compile("https to http")}, "Submit an https URL whose redirects stay with https."),
        (
            {"reason": re.compile("names no place|more than one place")},
            "The server is set up wrongly: use another mirror.",
        ),
        ({"reason": re.compile("port")}, "Ask the operator to allow that port, or use another mirror."),
        (
            {},
            (
                "Use another mirror, or ask the operator: the redirect leads to what a submitted URL may "
                "not name either."
            ),
        ),
    ),
    "source-status": (
        (
            {"status": (401, 403), "headers": "dropped"},
            (
                "Headers are sent to the origin of the submitted URL alone, and a redirect led elsewhere: "
                "submit the last URL among the redirects of this import, with the headers."
            ),
        ),
        (
            {"status": (401, 407), "headers": "sent"},
            "The source does not accept these headers: check the credentials in them.",
        ),
        ({"status": (401, 407)}, f"The source wants a login: {_HEADERS}, or use a signed link."),
        (
            {"status": 403, "headers": "sent"},
            (
                "The source refuses these credentials or this file: check whether they may read it, and "
                "whether the link has expired."
            ),
        ),
        (
            {"status": 403},
            (
                f"The source refuses access: {_HEADERS}; get a new link if this one was signed or temporary; "
                "else use another mirror."
            ),
        ),
        (
            {"status": (404, 410)},
            (
                "Check the URL for mistakes; if it was right once, find the file's present URL on its "
                "publisher's page."
            ),
        ),
        ({"status": 429}, "The source limits requests: submit the URL again later, or use a mirror."),
        ({"status": 451}, "The source may not give the file out to this place: use another mirror."),
        ({"status": (202, 204)}, "The source does not have the file ready: submit the URL again later."),
        (
            {"status": (405, 400, 406, 411)},
            "Use a direct link: the URL does not take a plain GET for the file.",
        ),
        ({"status": _SERVER}, "The source is in trouble: submit the URL again later, or use a mirror."),
    ),
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
    "forbidden": (
        ({"reason": re.compile("form was open for too long")}, "Check the form and send it again."),
        (
            {"reason": re.compile("operator.s rule")},
            "Stay within that rule, or ask the operator to change it.",
        ),
        ({"reason": _ROLE}, "Ask an administrator to do it, or for the role."),
        ({"reason": re.compile("make an image public|another project$")}, "Ask an administrator to do it."),
        (
            {"reason": re.compile("is for admins")},
            "Ask an administrator, or use a token with the admin role.",
        ),
        ({"reason": re.compile("read-only|reserved")}, "Leave it out of the request: the service sets it."),
        ({"reason": re.compile("cannot be removed")}, "Replace its value instead of removing it."),
        ({"reason": re.compile("what the bytes are")}, "Make a new image with other bytes."),
        ({"reason": re.compile("another project's")}, "Use a token of the project that has the image."),
        ({"reason": re.compile("protected")}, "Set protected to false, then send the request again."),
        (
            {"reason": re.compile("no bytes yet")},
            ("Wait until the image is active, or bring its bytes first."),
        ),
        ({"reason": re.compile("deactivated")}, "Ask an administrator to reactivate the image."),
        (
            {"reason": re.compile("import from (a|the) URL")},
            "Import from a URL with the method web-download.",
        ),
        (
            {"reason": re.compile("form is too old|by another site")},
            "Load the page again, and send its form from there.",
        ),
        ({"reason": re.compile("not scoped")}, "Ask the identity service for a token of a project."),
        ({"reason": re.compile("only shared images")}, "Set visibility to shared, then add members."),
        ({"reason": re.compile("image's own project")}, "Ask the project that has the image."),
        ({"reason": re.compile("member itself")}, "Use a token of the member's project."),
        ({"reason": re.compile("operator has switched")}, "Ask the operator to switch it on."),
    ),
}


def advice_for(failure: Failure) -> str:
    """Say what can be done about a failure, as far as its submitter may know the facts."""
    public = failure.public()
    facts = public.fields()
    shown = {name: value for name, value in facts.items() if name not in public.hidden}
    for wanted, sentence in CASES.get(public.code, ()):
        if all(_fits(shown.get(name), value) for name, value in wanted.items()):
            return sentence
    words = {name: readable("" if name in public.hidden else value) for name, value in facts.items()}
    return type(public).advice.format(**words)


def plain_advice(code: str) -> str:
    """Say what to do about a code of which no facts are known; empty where that needs facts."""
    kind = table().get(code)
    return "" if kind is None or "{" in kind.advice else kind.advice


def cases(code: str) -> Iterator[tuple[str, str]]:
    """Tell all rows of a code: the case in words, and the sentence."""
    for wanted, sentence in CASES.get(code, ()):
        yield ", ".join(f"{name} {_words(value)}" for name, value in wanted.items()) or "else", sentence


def _fits(fact: object, wanted: object) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(fact, str) and wanted.search(fact) is not None
    return fact in wanted if isinstance(wanted, tuple) else fact == wanted


def _words(wanted: object) -> str:
    if isinstance(wanted, re.Pattern):
        return f'says "{wanted.pattern}"'
    if wanted == _SERVER:
        return "500 to 599"
    return " or ".join(str(one) for one in wanted) if isinstance(wanted, tuple) else str(wanted)
