"""Options of the command line about the bucket of an s3:// URL, for what is read and what is written."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The place of a bucket, and who we are to it."""

    s3_endpoint: str | None = None
    """Endpoint of the bucket of an s3:// URL: https://objects.example; by default the operator's server."""

    s3_region: str | None = None
    """The region of that bucket; by default the operator's."""

    s3_addressing: Literal["auto", "path", "virtual"] | None = None
    """Naming of the bucket: in the path, or before the host."""

    s3_access_key_id: Annotated[
        str | None, Parameter(env_var="FETCHER_S3_ACCESS_KEY_ID", show_env_var=True)
    ] = None
    """Keys for the object; without them, what is read has to be public."""

    s3_secret_access_key: Annotated[
        str | None, Parameter(env_var="FETCHER_S3_SECRET_ACCESS_KEY", show_env_var=True)
    ] = None
    """The key that signs; safer in the environment, where `ps` does not show it."""

    s3_session_token: Annotated[
        str | None, Parameter(env_var="FETCHER_S3_SESSION_TOKEN", show_env_var=True)
    ] = None
    """The token of temporary credentials."""

    def body(self, url: str) -> dict[str, str] | None:
        """Return the fields that the API takes; keys in the environment are of no use with other URLs."""
        if not url.strip().lower().startswith("s3://"):
            return None
        given = {
            "endpoint": self.s3_endpoint,
            "region": self.s3_region,
            "addressing": self.s3_addressing,
            "access_key_id": self.s3_access_key_id,
            "secret_access_key": self.s3_secret_access_key,
            "session_token": self.s3_session_token,
        }
        return {key: value for key, value in given.items() if value is not None} or None
