"""The declaration of a source scheme, made once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from fetcher.config import Settings
from fetcher.guards.request.url import CheckedUrls
from fetcher.index.values import Secrets
from fetcher.model import Digest, Submission
from fetcher.transport import Dialect, Gate


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One job's question for its bytes.

    Args:
        secrets: Its URLs, all of http or https by now.
        urls: What they were judged to be.
        submission: As far as it may be shown.
    """

    gate: Gate
    secrets: Secrets
    urls: CheckedUrls
    submission: Submission
    project: str
    settings: Settings


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The way to the bytes of one job.

    Args:
        secrets: Where they really are.
        dialect: Speaks for us there; None where plain HTTP does.
        digest: What they must be, as the service says that names them.
        digest_source: Whose promise that is: `submitter` where the URL itself held it, `signed-manifest`
            where whoever the operator pinned signed it, else `manifest`.
        signer: Who that was.
        name: What the image is called there.
        has_neighbours: Other files may lie beside it, such as a checksum file.
    """

    secrets: Secrets
    dialect: Dialect | None = None
    digest: Digest | None = None
    digest_source: str = "manifest"
    signer: str | None = None
    name: str | None = None
    has_neighbours: bool = True


async def find_directly(asked: Asked) -> Way:
    """Ask for the URL as it is."""
    return Way(secrets=asked.secrets)


def _of_no_kind(_submission: Submission) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class SourceScheme:
    """One kind of URL: all that the rest of the service has to know of it.

    Args:
        names: What such a URL begins with, before `://`, in lower case.
        form: What it looks like, for people.
        is_enabled: Whether the operator takes such URLs.
        take: Makes of a submission what is asked for: URLs of http and https, credentials among the secrets.
        variant: What else of a submission decides which bytes come: such imports share no download.
        own_fields: Of a submission, which are of no use with another scheme.
        find: Finds out where the bytes are and how they are asked for; once for each job.
    """

    names: tuple[str, ...]
    form: str
    is_enabled: Callable[[Settings], bool]
    take: Callable[[Submission, CheckedUrls], Submission]
    variant: Callable[[Submission], str] = _of_no_kind
    own_fields: tuple[str, ...] = ()
    find: Callable[[Asked], Awaitable[Way]] = find_directly
