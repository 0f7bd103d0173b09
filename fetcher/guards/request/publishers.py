"""Publishers whose images have to be signed, and their keys."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import SignatureRequired
from fetcher.guards.base import Limit
from fetcher.guards.request.host_names import is_named
from fetcher.guards.spec import GuardSpec
from fetcher.model import Hop, Submission
from fetcher.settings.guards.publishers import PublisherRule

SIGNED_CATALOGUE = "signed-catalogue"
SIGNED_MANIFEST = "signed-manifest"  # By a plain key or an identity, as registries keep it beside an image.
SIGNED = ("signed-sums", "sigstore", SIGNED_CATALOGUE, SIGNED_MANIFEST)
BUNDLE = ".sigstore.json"  # Behind the image's own name.


def rule_of(urls: Iterable[str], settings: Settings) -> PublisherRule | None:
    """Return the operator's rule for a source: the first that requires a signature, else the first of all."""
    if not settings.publisher.rules:
        return None
    hosts = [(urlsplit(url).hostname or "").removesuffix(".") for url in urls]
    fit = [rule for rule in settings.publisher.rules if any(is_named(host, rule.hosts) for host in hosts)]
    return next((rule for rule in fit if rule.required), next(iter(fit), None))


def in_force(urls: Iterable[str], settings: Settings) -> Settings:
    """Return the settings by which a checksum file of this source is judged: whose signature counts."""
    rule = rule_of(urls, settings)
    if rule is None:
        return settings
    sums = settings.sums
    required = rule.required or sums.require_signature
    keys = rule.keys if rule.keys or rule.identities else sums.keys
    sums = msgspec.structs.replace(sums, keys=keys, require_signature=required)
    return msgspec.structs.replace(settings, sums=sums)


def check_submitted(submission: Submission, settings: Settings) -> None:
    """Refuse at once what nobody could vouch for: no checksum file, signed catalogue or signed manifest.

    Raises:
        SignatureRequired: The operator has images of this source signed.
    """
    if submission.remote is not None:  # Operator and other service answer for it.
        return
    rule = rule_of(sources_of(submission), settings)
    has_proof = submission.checksum_url is not None and submission.checksum is None
    is_named_elsewhere = submission.checksum_source in {SIGNED_CATALOGUE, SIGNED_MANIFEST}
    if rule is not None and rule.required and not has_proof and not is_named_elsewhere:
        raise SignatureRequired(publisher=rule.name)


def beside(submission: Submission, settings: Settings) -> Submission:
    """Return a submission with the bundle that stands beside the image, where its publisher has to sign so.

    What the submission names itself counts; a URL with a query has nothing beside it.
    """
    rule = rule_of([submission.url], settings)
    if rule is None or not rule.required or not rule.identities or submission.remote is not None:
        return submission
    has_proof = submission.checksum_url or submission.checksum or submission.checksum_source != "submitter"
    if has_proof or any(mark in submission.url for mark in "?#"):
        return submission
    return msgspec.structs.replace(submission, checksum_url=submission.url.strip() + BUNDLE)


def check_way(hops: Sequence[Hop], submissions: Sequence[Submission], settings: Settings) -> None:
    """Refuse a way that leads to a publisher whom the submitted URL does not name, and who has to sign.

    Args:
        submissions: Of one pull, so that all have the same URLs.

    Raises:
        SignatureRequired: The checksum file was not judged by that publisher's keys.
    """
    if not submissions or submissions[0].remote is not None:
        return
    own, found = rule_of(sources_of(submissions[0]), settings), rule_of((hop.url for hop in hops), settings)
    if found is not None and found.required and found != own:
        raise SignatureRequired(publisher=found.name)


def sources_of(submission: Submission) -> list[str]:
    """Return every URL that a submission may bring bytes from."""
    return [submission.url, *submission.mirrors]


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish whose images have to be signed."""
    rules = settings.publisher.rules
    hosts = [host for rule in rules if rule.required for host in rule.hosts]
    pinned = [
        f"{host}: {one.subject} ({one.issuer})"
        for rule in rules
        for host in rule.hosts
        for one in rule.identities
    ]
    return (
        Limit(
            name="signed_publishers",
            type="array",
            value=hosts,
            description="Hosts whose images have to be signed, by a checksum file or a catalogue.",
            guard="publishers",
        ),
        Limit(
            name="signed_identities",
            type="array",
            value=pinned,
            description="Whose sigstore bundles count for the images of a host: HOST: IDENTITY (ISSUER).",
            guard="publishers",
        ),
    )


GUARD = GuardSpec(
    name="publishers",
    title="Publishers",
    sections=("publisher",),
    limits=limits,
    check_submission=check_submitted,
    checks=(check_way,),
)
