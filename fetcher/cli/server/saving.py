"""The command that saves an image to a file: it goes on where it was cut off, and checks the digest."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fetcher.api.submit.words import exact_words
from fetcher.cli.choices import Server
from fetcher.cli.client import Client, Refused, Unreachable, segment
from fetcher.cli.exits import CommandFailed, Exit
from fetcher.cli.ids import IMAGES
from fetcher.cli.screen import Screen
from fetcher.cli.server.images import find

CHUNK_BYTES = 1_048_576

_RANGE = re.compile(r"bytes (\d+)-")


def save(
    id: str,  # noqa: A002 - the name that the reference shows
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Save an image to a file, and check its digest.

    What is cut off stands beside the file as `FILE.ID.part`; the same command goes on from there. Bytes
    with another digest are removed, and the exit code is 10.

    Args:
        id: Of the image, or its first characters.
        output: The file, which must not exist yet.
    """
    client, screen = server.client(), server.screen()
    check_new(output)
    image = find(client, id)
    if image.get("size") is None:
        raise CommandFailed(
            Exit.USAGE,
            code="image-without-bytes",
            detail=f"Image {image['id']} has no bytes yet: it is {image['status']}.",
            advice="",
        )
    # The id is in the name, so that the parts of two images are never put together.
    part = output.with_name(f"{output.name}.{image['id']}.part")
    algorithm, promised = _promised(image)
    found = _receive(client, image, part, algorithm)
    if promised is not None and found != promised:
        part.unlink()
        raise CommandFailed(
            Exit.DAMAGED,
            code="digest-mismatch",
            detail=f"The bytes of image {image['id']} have another {algorithm} than its record: "
            f"{found} in place of {promised}. They were removed.",
            advice="Run the command again; if it ends the same, the server's operator has to look.",
        )
    publish(part, output)
    _show(screen, image, output, algorithm, found, is_verified=promised is not None)
    return Exit.OK


def _show(  # noqa: PLR0913 - all that is shown
    screen: Screen, image: dict[str, Any], output: Path, algorithm: str, found: str, *, is_verified: bool
) -> None:
    summary = {"file": str(output), "bytes": image["size"], algorithm: found, "verified": is_verified}
    if screen.as_json:
        screen.json({"image": image["id"], **summary})
        return
    screen.facts(
        [
            ("file", output),
            ("size", exact_words(image["size"])),
            (algorithm, f"{found} ({'verified' if is_verified else 'not verified'})"),
        ],
        to_err=True,
    )
    if screen.is_pipe:
        screen.line(output)


def check_new(file: Path) -> None:
    """Refuse to write over a file, or into a folder that is not there.

    Raises:
        OSError: One of both.
    """
    if os.path.lexists(file):
        raise FileExistsError(0, "There is such a file already; name another, or remove it", str(file))
    if not file.parent.is_dir():
        raise FileNotFoundError(0, "There is no such folder", str(file.parent))


def publish(part: Path, file: Path) -> None:
    """Let a whole file appear under its name, durably; never over another one.

    Raises:
        OSError: There is a file of that name by now, or the disk fails.
    """
    with part.open("rb") as whole:
        os.fsync(whole.fileno())
    check_new(file)
    part.rename(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _promised(image: dict[str, Any]) -> tuple[str, str | None]:
    """Return the algorithm and digest to check against; images of old servers may have none."""
    algorithm, digest = image.get("os_hash_algo"), image.get("os_hash_value")
    if algorithm in hashlib.algorithms_available and digest:
        return str(algorithm), str(digest).lower()
    return "sha256", None


def _receive(client: Client, image: dict[str, Any], part: Path, algorithm: str) -> str:
    """Bring the partial file to its full size; its digest comes back."""
    size: int = image["size"]
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o666), "r+b") as file:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        if file.tell() > size:
            digest = _restart(file, algorithm)
        start = file.tell()
        if start < size:
            path = f"{IMAGES}/{segment(image['id'])}/file"
            with client.body(path, {"Range": f"bytes={start}-"} if start else {}) as answer:
                if start and not _goes_on(answer.status, answer.content_range, start):
                    digest = _restart(file, algorithm)
                while file.tell() <= size and (chunk := answer.read(CHUNK_BYTES)):
                    file.write(chunk)
                    digest.update(chunk)
        received = file.tell()
    if received < size:
        raise Unreachable(
            f"The server broke off after {received:,} of {size:,} bytes; run the command again to go on. "
            f"They are kept in {part}."
        )
    return digest.hexdigest()


def _goes_on(status: int, content_range: str, start: int) -> bool:
    """Return whether an answer begins where the file ends; a server may send all bytes instead."""
    found = _RANGE.match(content_range)
    if status == 206 and (found is None or int(found[1]) != start):
        raise Refused(502, {"detail": f"The server sent other bytes than those from {start:,} on."})
    return status == 206


def _restart(file: Any, algorithm: str) -> Any:
    file.seek(0)
    file.truncate()
    return hashlib.new(algorithm, usedforsecurity=False)
