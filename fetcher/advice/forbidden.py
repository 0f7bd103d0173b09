"""Advice on requests that the caller may not make."""

import re

from fetcher.advice.facts import Cases

_ROLE = re.compile(r"only an admin|needs the role|needs one of the roles|for operators|only services")
CASES: Cases = {
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
