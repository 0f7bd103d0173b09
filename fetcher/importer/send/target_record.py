"""An image's record in the target image service."""

from typing import Any

from fetcher.importer.send.image_api_sender import ImageThere
from fetcher.model import Blob, Image, Import, algorithm_of


def new_record(
    record: Import, image: Image, blob: Blob, rules: dict[str, Any], *, has_provenance: bool
) -> dict[str, Any]:
    """Return a record for an image, as it would have become here.

    Args:
        rules: What the operator's rules set.
        has_provenance: Whether the record says where the bytes came from.
    """
    suggested = record.stages.get("suggested", {})
    offered = {**suggested.get("properties", {}), **rules.get("default", {})}
    forbidden = rules.get("forbid", [])
    properties = {name: value for name, value in offered.items() if name not in forbidden}
    properties |= {**image.properties, **rules.get("set", {})}
    if has_provenance:
        properties |= provenance_properties(record, blob)
    found = record.format
    values: dict[str, Any] = {
        "visibility": image.visibility,
        "disk_format": found.disk_format if found else image.disk_format,
        "container_format": found.container_format if found else image.container_format,
        "min_disk": max(image.min_disk or suggested.get("min_disk", 0), rules.get("min_disk", 0)),
        "min_ram": max(image.min_ram or suggested.get("min_ram", 0), rules.get("min_ram", 0)),
        "tags": list(image.tags),
    }
    if image.name is not None:
        values["name"] = image.name
    return {**properties, **values}


def provenance_properties(record: Import, blob: Blob) -> dict[str, str]:
    """Return where an image's bytes came from, in properties of its record; URLs are redacted already."""
    return {
        "import_id": record.id,
        "import_url": record.submission.url,
        f"import_{algorithm_of(blob.address)}": blob.address,
        "import_verified_by": record.verified_by,
    }


def existing_values(record: dict[str, Any], there: ImageThere) -> dict[str, Any]:
    """Return what a record that was there before lacks: formats, and where its bytes come from."""
    formats = {
        name: record[name] for name in ("disk_format", "container_format") if getattr(there, name) is None
    }
    story = {name: value for name, value in record.items() if name.startswith("import_")}
    return {**formats, **story}
