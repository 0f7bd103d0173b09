"""Advice on buckets and registries."""

from fetcher.advice.facts import Cases

CASES: Cases = {
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
        ({"rule": "layers"}, "Set disk to the path of one of the disks."),
        ({"rule": "disk"}, "Set disk to the title of one of the files, or to its number."),
        (
            {"rule": "login"},
            "Give user and password in headers, as Authorization: Basic; a token as Authorization: Bearer.",
        ),
        ({"rule": "digest"}, "Submit it again; if it stays so, the registry is broken: use another one."),
    ),
}
