"""The fields of the submission form, and how a failure is shown beside one."""

from fetcher.errors import Failure, InvalidRequest

LABELS = {
    "url": "URL",
    "name": "Name",
    "checksum": "Checksum",
    "checksum_url": "Checksum file",
    "checksum_signature_url": "Signature of the checksum file",
    "disk_format": "Disk format",
    "container_format": "Container format",
    "disk": "Disk in an archive",
    "convert_to": "Convert to",
    "max_bytes": "Maximum size",
    "min_disk": "Minimum disk",
    "min_ram": "Minimum memory",
    "visibility": "Visibility",
    "mirrors": "Mirrors",
    "headers": "Request headers",
    "ca_pem": "Certificate authorities",
    "client_certificate_pem": "Client certificate",
    "client_key_pem": "Client key",
    "s3_endpoint": "Bucket endpoint",
    "s3_region": "Bucket region",
    "s3_addressing": "Bucket addressing",
    "s3_access_key_id": "Access key ID",
    "s3_secret_access_key": "Secret access key",
    "s3_session_token": "Session token",
    "target_image_id": "Image at the target",
    "notify_url": "Webhook URL",
    "notify_secret": "Webhook secret",
    "tags": "Tags",
    "properties": "Properties",
}
EMPTY: dict[str, str] = dict.fromkeys(LABELS, "")
MAX_TEXT = 255
URLS = ("url", "checksum_url", "checksum_signature_url", "notify_url")
BUCKET = "s3_"  # Before the names of the fields that are one object in the API.


def words_of(failure: Failure, field: str) -> str:
    """Say a failure in the page's words: the field's label in place of its name in the API."""
    public = failure.public()
    if not isinstance(public, InvalidRequest):
        return str(public)
    plain = field.removeprefix(BUCKET)
    reason = public.reason.removeprefix(f"{plain}: ").removeprefix(f"{plain} ")
    for name, label in LABELS.items():
        if "_" in (short := name.removeprefix(BUCKET)):
            reason = reason.replace(short, label)
    is_sentence = reason != public.reason and public.reason.startswith(f"{plain} ")
    words = f"{LABELS[field]} {reason}" if is_sentence else reason[:1].upper() + reason[1:]
    return words if words.endswith(".") else f"{words}."
