"""The signed statement on an image: in-toto with SLSA provenance as its predicate, made of its story.

Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
https://slsa.dev/spec/v1.0/provenance. An import is a build whose one material is what was received.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fetcher import __version__
from fetcher.errors import AttestationInvalid

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:glance-fetcher:import:v1"
BUILDER = "urn:glance-fetcher"
# MD5 and SHA-1 identify nothing.
STRONG = ("sha256", "sha384", "sha512")

Story = Mapping[str, Any]


def statement(image_id: str, story: Story, builder_id: str) -> bytes:
    """Return the statement on an image, as the bytes that are signed.

    Args:
        image_id: Names the subject.
        story: The image's provenance: URLs in it are redacted already.
        builder_id: Names the service.
    """
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": image_id, "digest": _strong(story["digests"])}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"method": story["method"], **_asked(story["submitted"])},
                "internalParameters": _judged(story),
                "resolvedDependencies": _materials(story),
            },
            "runDetails": {
                "builder": {"id": builder_id or BUILDER, "version": {"glance-fetcher": __version__}},
                "metadata": {
                    "invocationId": story["import_id"],
                    "startedOn": story.get("started_at") or story["submitted"].get("at"),
                    "finishedOn": story.get("ended_at"),
                },
            },
        },
    }
    return msgspec.json.encode(document, order="deterministic")


def _asked(submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the submitter asked for; who it was stays in the provenance of the service."""
    names = ("url", "checksum", "ca_sha256", "catalogue")
    return {name: submitted[name] for name in names if submitted.get(name)}


def _judged(story: Story) -> dict[str, Any]:
    """Return who judged the bytes by which limits, and what was done to them."""
    names = ("guards", "limits", "address_table", "stages", "format", "length_verified")
    return {name: story[name] for name in names if story.get(name) is not None}


def _materials(story: Story) -> list[dict[str, Any]]:
    """Return what was received, and the file that promised its digest."""
    received = story.get("stages", {}).get("received", {}).get("digests", story["digests"])
    verified = {name: story.get(name) for name in ("verified_by", "sums_signature", "publisher", "manifest")}
    material: dict[str, Any] = {
        "name": "received",
        "digest": _strong(received),
        "annotations": {name: value for name, value in verified.items() if value is not None},
    }
    if story["submitted"].get("url"):
        material["uri"] = story["submitted"]["url"]
    asked = _last_hops(story)
    if asked and asked[-1].get("url"):
        material["downloadLocation"] = asked[-1]["url"]
    sums = story.get("sums") or {}
    hops = sums.get("hops") or []
    if not hops:
        return [material]
    annotations = {
        name: sums[name] for name in ("digest", "signature", "signer") if sums.get(name) is not None
    }
    return [material, {"name": "checksum-file", "uri": hops[0]["url"], "annotations": annotations}]


def _last_hops(story: Story) -> Sequence[Mapping[str, Any]]:
    attempts = story.get("attempts") or []
    return attempts[-1].get("hops") or [] if attempts else []


def _strong(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digests[name] for name in STRONG if name in digests}


class Subject(msgspec.Struct, frozen=True):
    """The subject of a statement."""

    digest: dict[str, str]
    name: str = ""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign statement, as far as it is read here."""

    kind: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: Annotated[list[Subject], Meta(min_length=1, max_length=1024)]
    predicateType: str  # noqa: N815 - the specification's name
    predicate: dict[str, Any] = {}

    def subject_with(self, digests: Mapping[str, str]) -> Subject | None:
        """Return the subject that these digests are of: all that both know agree, and there is one."""
        for subject in self.subject:
            known = [name for name in STRONG if name in subject.digest and name in digests]
            if known and all(subject.digest[name].lower() == digests[name] for name in known):
                return subject
        return None


def read_statement(payload_type: str, payload: bytes) -> Statement:
    """Read the statement in an envelope whose signature holds.

    Raises:
        AttestationInvalid: It is of another type, or none.
    """
    if payload_type != PAYLOAD_TYPE:
        raise AttestationInvalid(reason="what is signed is no in-toto statement")
    try:
        found = msgspec.json.decode(payload, type=Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttestationInvalid(reason="what is signed is no in-toto statement of version 1") from error
    if found.predicateType != PREDICATE_TYPE:
        raise AttestationInvalid(reason="the statement has no SLSA provenance of version 1")
    return found
