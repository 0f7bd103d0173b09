"""The sections of the guards `s3` and `oci`."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import HostOrAddress, Positive, Section

Region = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$", description="a region such as us-east-1")
]
Endpoint = Annotated[
    str, Meta(pattern=r"^https?://[^\s/@?#]+$", description="https://host, with {region} where that belongs")
]


class S3(Section, frozen=True, kw_only=True):
    """Objects of buckets, named by s3:// URLs."""

    enabled: bool
    endpoint: Endpoint
    region: Region
    addressing: Literal["path", "virtual"]
    any_endpoint: bool
    endpoints: list[Endpoint]


class Oci(Section, frozen=True, kw_only=True):
    """Disks in registries of containers, named by oci:// URLs."""

    enabled: bool
    architecture: Annotated[str, Meta(pattern=r"^[a-z0-9]{1,32}$", description="amd64, arm64 ...")]
    token_hosts: list[HostOrAddress]
    insecure_hosts: list[HostOrAddress]
    max_manifest_bytes: Annotated[int, Meta(ge=1024, le=67_108_864)]
    max_layers: Positive
