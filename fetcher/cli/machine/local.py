"""Commands that work without a server: serve, and pull into the local store."""

import asyncio
import hashlib
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from fetcher.api.body import convert
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.api.views import import_view
from fetcher.cli.choices import AsJson, ConfigFile, Key, Wanted
from fetcher.cli.exits import CommandFailed, Exit, exit_of_import
from fetcher.cli.progress import Bar
from fetcher.cli.screen import Screen
from fetcher.cli.server.saving import check_new, publish
from fetcher.cli.story import show_end
from fetcher.errors import StoreFailed
from fetcher.index.values import IdempotencyKey
from fetcher.logs import set_up_logs
from fetcher.model import Actor

if TYPE_CHECKING:
    from fetcher.config import Settings
    from fetcher.service import Service

FOLLOW_SECONDS = 0.1


def serve(*, config: ConfigFile = None, listen: str | None = None) -> int:
    """Serve the page and the APIs until a signal ends it.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        listen: HOST:PORT in place of `server.listen`.
    """
    from fetcher.systemd import ignore_reloads

    ignore_reloads()
    from fetcher.interpreter import fast_imports
    from fetcher.start.command import main

    arguments = ["--config", str(config)] if config else []
    return main([*arguments, *(["--listen", listen] if listen else [])], fast_imports)


def pull(  # noqa: PLR0913 - all options of the command
    url: str,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    config: ConfigFile = None,
    store: Path | None = None,
    key: Key = None,
    json: AsJson = False,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
) -> Exit:
    """Pull a URL into the local store, without a server.

    The same guards judge it as on a server. Ctrl-C cancels it, and nothing is left.

    Args:
        url: Where the image is.
        output: A file, which must not exist yet, in place of a store.
        config: The operator's file, laid over `config.toml` key by key.
        store: The store's folder, in place of `store.folder`.
        key: An Idempotency-Key: the same command run twice with it on one store pulls once.
        json: Print one JSON document instead of words.
    """
    from fetcher.service import Service

    if output and store:
        raise ValueError("Give --output for a file or --store for a store, not both.")
    if output and key:
        raise ValueError("An --idempotency-key is kept in a store; it does not go with --output.")
    screen = Screen(as_json=json)
    with _store_for(output, store) as folder:
        changes: dict[str, dict[str, Any]] = {"log": {"level": "error"}}
        if folder:
            changes["store"] = {"folder": str(folder.resolve())}
        service = Service(config, changes)
        set_up_logs(service.settings)
        body = convert(wanted.body(url), SubmitBody)
        with _watching_the_store(url, service), Bar(screen.err, is_shown=screen.is_watched) as bar:
            document, address = asyncio.run(_pull(service, body, key, bar.show))
        file = service.folder / "blobs" / address[:2] / address
        if output and document["state"] == "succeeded":
            publish(file, output)
            file = output
    if screen.as_json:
        screen.json(document)
        return exit_of_import(document)
    show_end(screen, document)
    if document["state"] == "succeeded":
        screen.facts([("file", file)], to_err=True)
        if screen.is_pipe:
            screen.line(file)
    return exit_of_import(document)


@contextmanager
def _store_for(output: Path | None, store: Path | None) -> Iterator[Path | None]:
    """Name the folder of the store; for a file it is one beside it, which goes in any case."""
    if output is None:
        yield store
        return
    check_new(output)
    # On the file's own file system, so that the image appears under its name by a rename.
    with TemporaryDirectory(prefix=f".{output.name[:100]}.", dir=output.parent) as folder:
        yield Path(folder)


@contextmanager
def _watching_the_store(url: str, service: "Service") -> Iterator[None]:
    """Say what else would work where another process has the store."""
    try:
        yield
    except StoreFailed as error:
        if "in use" not in error.reason:
            raise
        raise _in_use(error, url, service.settings) from error


def _in_use(error: StoreFailed, url: str, settings: "Settings") -> CommandFailed:
    """Say which commands work beside the process that has the store."""
    quoted = shlex.quote(url)
    server = _address_of(settings)
    beside = (
        f"A server that has it can do it: `fetcher submit {quoted} --wait --server {server}`. "
        if server
        else ""
    )
    return CommandFailed(
        Exit.BUSY,
        code=error.code,
        detail=f"The store: {error.reason}.",
        advice=f"{beside}Or pull into a file, without a store: `fetcher pull {quoted} -o FILE`.",
    )


def _address_of(settings: "Settings") -> str:
    """Return where a server with these settings is reached; nothing where only a path leads to it."""
    if settings.server.public_url or settings.server.path is not None:
        return settings.server.public_url
    host = settings.server.host
    address = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - to compare
    return f"http://{address}:{settings.server.port}"


def _keyed(key: str | None, body: SubmitBody) -> IdempotencyKey | None:
    """Return the key with what distinguishes other requests from this one."""
    if key is None:
        return None
    return IdempotencyKey(key=key, fingerprint=hashlib.sha256(msgspec.json.encode(body)).hexdigest())


async def _pull(
    service: "Service", body: SubmitBody, key: str | None, show: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], str]:
    actor = Actor(
        project_id=service.settings.auth.project, user_id="command-line", roles=frozenset({"admin"})
    )
    document: dict[str, Any] = {}
    address = ""
    async with service.open_services() as services:
        submission = await body.resolved(actor, services.current.settings, services.catalogues)
        record = await services.importer.submit(actor, submission, key=_keyed(key, body))
        try:
            async for newer in services.importer.follow(record.id, actor, least_seconds=FOLLOW_SECONDS):
                document = import_view(newer, "", is_operator=True)
                address = newer.address or newer.digests.get("sha256", "")
                show(document)
        except asyncio.CancelledError:
            await services.importer.cancel(record.id, actor)
            print("Cancelled; nothing of it is left.", file=sys.stderr)
            raise
    return document, address
