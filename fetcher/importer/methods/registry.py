"""Every import method, in the order of discovery; a new one is a file and a line here."""

from collections.abc import Iterable

from fetcher.config import Settings
from fetcher.importer.methods import glance_direct, glance_download, stage, upload, web_download
from fetcher.importer.methods.method import Flow, ImportMethod
from fetcher.model import Actor

METHODS: list[ImportMethod] = [
    glance_direct.METHOD,
    web_download.METHOD,
    glance_download.METHOD,
    upload.METHOD,
    stage.METHOD,
]
DEFAULT = web_download.METHOD  # Of a submission that names none: it has a URL.
UPLOAD = upload.METHOD
STAGE = stage.METHOD


def named(name: str) -> ImportMethod:
    """Return a method by its name; records of one that is gone are shown all the same."""
    for method in METHODS:
        if method.name == name:
            return method
    return ImportMethod(name=name, flow=Flow.FETCH)


def offered(actor: Actor, settings: Settings) -> list[str]:
    """Return the methods that a caller may ask for by name."""
    return [method.name for method in METHODS if method.is_offered(actor, settings)]


def names_of(flows: Iterable[Flow]) -> tuple[str, ...]:
    """Return the methods whose bytes come in one of these ways."""
    wanted = set(flows)
    return tuple(method.name for method in METHODS if method.flow in wanted)
