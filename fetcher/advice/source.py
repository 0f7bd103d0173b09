"""Advice on sources that answer otherwise than with the file."""

import re

from fetcher.advice.facts import Cases

SERVER = tuple(range(500, 600))
_HEADERS = "give what it asks for in headers (--header on the command line), for example Authorization"
CASES: Cases = {
    "source-unreachable": (),
    "tls-failed": (
        (
            {"reason": re.compile("authority|signed by itself")},
            (
                "Give the certificate of the source's authority as ca_pem, or one between that the source "
                "leaves out; or use another mirror."
            ),
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
            {"reason": re.compile("operator's")},
            "Ask the operator to look at tls.ca_file and at tls.clients for this host.",
        ),
        (
            {"reason": re.compile("does not accept the client certificate")},
            (
                "Check that client_certificate_pem is the one that the source gave out, is still valid, and "
                "comes with the certificates between it and its authority."
            ),
        ),
        (
            {"reason": re.compile("client certificate")},
            (
                "Give client_certificate_pem and client_key_pem where GET /limits says that they are taken, "
                "or use a URL that asks for no client certificate."
            ),
        ),
        (
            {"reason": re.compile("speaks no TLS")},
            "Use the http:// URL with a checksum, or the port at which the source speaks TLS.",
        ),
        (
            {"reason": re.compile("does not know the host name")},
            "Use the name that the server has been set up for, or another mirror.",
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
            {"status": 401, "headers": "sent"},
            "The source does not accept these headers: check the credentials in them.",
        ),
        (
            {"status": 407},
            "A proxy on the way wants a login: ask the operator, or use a source that is reached without it.",
        ),
        (
            {"status": (401, 403), "cookie": True},
            (
                "The source wants the cookie that it set on the way, as links do that are shared for "
                "browsers: use a direct or signed link, or send the cookie of your browser in headers."
            ),
        ),
        ({"status": 401}, f"The source wants a login: {_HEADERS}, or use a signed link."),
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
                f"The source refuses access: {_HEADERS} or a User-Agent that it lets in; "
                "get a new link if this one was signed or temporary; else use another mirror."
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
        (
            {"status": (202, 204, 205, 409, 423)},
            "The source does not have the file ready: submit the URL again later.",
        ),
        (
            {"status": 400},
            (
                "Use a direct link: the URL does not take a plain GET for the file. Servers that speak https "
                "alone answer so, too, and those that ask for a client certificate (client_certificate_pem)."
            ),
        ),
        (
            {"status": (201, 405, 406, 411, 415, 422)},
            "Use a direct link: the URL does not take a plain GET for the file.",
        ),
        (
            {"status": (203, 206, 226, 304)},
            (
                "A cache or proxy in front of the source does not send the whole file as it is: submit the "
                "URL again later, or use a mirror."
            ),
        ),
        (
            {"status": 300},
            "The URL offers the file in several forms: open it in a browser, choose one, and submit its URL.",
        ),
        (
            {"status": (402, 509)},
            "The source's account for downloads is used up: submit the URL again later, or use a mirror.",
        ),
        (
            {"status": 421},
            "The server is not the one for this host name: use the source's own name, or a mirror.",
        ),
        (
            {"status": (426, 505)},
            "The source wants another protocol: use its https URL, or a mirror.",
        ),
        (
            {"status": (414, 431)},
            "The source takes no URL or headers of this length: use a shorter link, or fewer headers.",
        ),
        (
            {"status": 511},
            "The network wants a login before it lets anybody through: ask the operator.",
        ),
        ({"status": SERVER}, "The source is in trouble: submit the URL again later, or use a mirror."),
    ),
}
