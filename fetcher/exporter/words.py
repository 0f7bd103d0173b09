"""Failures in the words of exports: the other end is a receiver, not a source."""

from fetcher.errors import Failure
from fetcher.model import Verdict

ADVICE = {
    "source-unreachable": "Check that the receiver can be reached from the public internet; export again.",
    "source-status": "Check that the URL takes a PUT of this size and has not expired, and that every header "
    "which it was signed with is given.",
    "source-too-slow": "Try again later, or ask the operator for more time.",
    "tls-failed": "The receiver has to present a valid certificate.",
    "bad-response": "The server behind the URL is broken or is no web server: use another one.",
    "bucket-refused": "Check bucket, key and endpoint, and that the credentials may write there "
    "(s3:PutObject); the code is the server's own.",
    "target-refused": "Correct what it objects to, then export again.",
    "target-unavailable": "Export again later; if it happens again, tell the operator.",
    "target-mismatch": "Export again; if it happens again, have the operator look at that service's store.",
    "registry-unusable": "Check the name of the repository, and that the login may push to it.",
}


def verdict_of(failure: Failure) -> Verdict:
    """Return the public form of a failure."""
    public = failure.public()
    title = str(public).replace("The source", "The receiver").replace("the source", "the receiver")
    title = title.replace("registry's image cannot be taken", "registry did not take the image")
    title = title.replace("The target image service", "The image service")
    title = title.replace("refused the object", "did not take the object")
    advice = ADVICE.get(public.code, public.advice)
    return Verdict(code=public.code, title=title, advice=advice, fields=dict(public.public_fields()))
