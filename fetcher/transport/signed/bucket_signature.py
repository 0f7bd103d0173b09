"""Signs requests to buckets: botocore's signer, and nothing else of it.

Its HTTP client is a second way to the network and is never loaded; what is signed here is sent by the gate.
"""

import logging

from fetcher.model import BucketAccess

# It would write signatures and session tokens into a log of level debug.
logging.getLogger("botocore.auth").setLevel(logging.INFO)


CONTENT_SHA256 = "x-amz-content-sha256"


def sign(method: str, url: str, fields: dict[str, str], access: BucketAccess, region: str) -> dict[str, str]:
    """Return the header fields of a request with those of its signature; without keys they stay as they are.

    What is signed is the host, the time and the `x-amz-` fields: others may be changed by proxies on the way.
    A request with a body brings the digest of that as `x-amz-content-sha256`.

    Source: Amazon S3 API Reference, "Authenticating requests: using the Authorization header".
    """
    if access.access_key_id is None or access.secret_access_key is None:
        return fields
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    credentials = Credentials(access.access_key_id, access.secret_access_key, access.session_token)
    own = {name: value for name, value in fields.items() if name.lower().startswith("x-amz-")}
    request = AWSRequest(method=method, url=url, headers=own)
    known = own.get(CONTENT_SHA256)

    class Signer(S3SigV4Auth):  # type: ignore[misc] # it has no types
        def payload(self, request: AWSRequest) -> str:
            return known or str(super().payload(request))

    Signer(credentials, "s3", region).add_auth(request)
    fields = {name: value for name, value in fields.items() if name != CONTENT_SHA256}
    return fields | dict(request.headers.items())
