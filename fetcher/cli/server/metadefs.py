"""The command that brings in files of metadata definitions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from fetcher.api.body import parse
from fetcher.api.metadefs.bodies import NamespaceBody, bounds_of, namespace_of, read
from fetcher.api.submit.words import count_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.machine.store import open_service
from fetcher.cli.screen import Screen
from fetcher.errors import InvalidRequest, RequestRefused
from fetcher.index import open_index
from fetcher.index.protocol import Index
from fetcher.index.values import Content, Mode

if TYPE_CHECKING:
    from fetcher.service import Service

MAX_BYTES = 16_777_216  # Of one file; the well-known ones have a few kilobytes.


class _File(msgspec.Struct, frozen=True):
    """A definition file that was read."""

    path: Path
    body: NamespaceBody


def load(
    *paths: Path,
    mode: Mode = "skip",
    owner: str = "admin",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> Exit:
    """Bring in metadata definitions, in the form of the files in Glance's etc/metadefs; a server may run.

    All files are checked first: if one is wrong, none is brought in.

    Args:
        paths: Files, and folders whose `*.json` files are meant.
        mode: For a namespace that is there already: `skip` leaves it, `merge` adds what is missing,
            `update` adds and changes, `replace` puts the file in its place.
        owner: The project that a namespace belongs to where its file names none.
        dry_run: Only check the files.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    files, mistakes = _read_all(paths)
    found: list[dict[str, str]] = []
    if not mistakes and not dry_run:
        found = asyncio.run(_load(open_service(config), files, mode, owner))
    _show(screen, found, mistakes, len(files))
    return Exit.USAGE if mistakes else Exit.OK


def _read_all(paths: tuple[Path, ...]) -> tuple[list[_File], list[str]]:
    files: list[_File] = []
    mistakes = [] if paths else ["Name a file or a folder of definitions."]
    for path in paths:
        members = list(_members(path))
        if not members:
            mistakes.append(f"{path}: the folder has no *.json file")
        for member in members:
            try:
                files.append(_File(member, read(_document(member), NamespaceBody)))
            except OSError as error:
                mistakes.append(f"{member}: {error.strerror}")
            except RequestRefused as refusal:
                mistakes.append(f"{member}: {getattr(refusal, 'reason', refusal)}")
    return files, mistakes


def _members(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(path.glob("*.json"))
    else:
        yield path


def _document(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise InvalidRequest(reason=f"the file is larger than {MAX_BYTES:,} bytes")
    document = parse(text)
    if not isinstance(document, dict):
        raise InvalidRequest(reason="the file does not hold a JSON object")
    return document


async def _load(service: "Service", files: list[_File], mode: Mode, owner: str) -> list[dict[str, str]]:
    if not service.settings.index.is_shared and not (service.folder / "index.sqlite").is_file():
        async with service.open_services() as services:
            return await _load_into(services.index, service, files, mode, owner)
    async with open_index(service.settings.index, service.folder / "index.sqlite") as index:
        return await _load_into(index, service, files, mode, owner)


async def _load_into(
    index: Index, service: "Service", files: list[_File], mode: Mode, owner: str
) -> list[dict[str, str]]:
    found = []
    for file in files:
        namespace = namespace_of(file.body, owner)
        content = Content(items=file.body.content(), bounds=bounds_of(service.settings))
        done = await index.metadefs.load(namespace, content, mode)
        found.append({"file": str(file.path), "namespace": namespace.namespace, "done": done})
    return found


def _show(screen: Screen, found: list[dict[str, str]], mistakes: list[str], files: int) -> None:
    if screen.as_json:
        screen.json({"files": files, "namespaces": found, "mistakes": mistakes})
        return
    for mistake in mistakes:
        screen.say(mistake)
    if mistakes:
        screen.say("Nothing was brought in.")
        return
    screen.table(("NAMESPACE", "DONE"), ((entry["namespace"], entry["done"]) for entry in found))
    screen.say(
        f"{count_words(files, 'file')} checked, {count_words(len(found), 'namespace')} brought in or kept."
    )
