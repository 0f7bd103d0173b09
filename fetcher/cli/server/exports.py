"""Commands that send images of a server to receivers."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

from cyclopts import Parameter

from fetcher.cli.choices import Key, Server
from fetcher.cli.client import Client, segment
from fetcher.cli.exits import Exit, exit_of_import
from fetcher.cli.screen import Screen
from fetcher.cli.server.buckets import Bucket
from fetcher.cli.server.images import find

EXPORTS = "/exports"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Sending:
    """The way an image is sent, and who we are to the receiver."""

    header: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """`Name: value`, for the receiver alone; may be given several times."""

    format: Literal["raw", "qcow2"] | None = None
    """The format that the disk is converted to on its way out; by default it goes as it is kept."""

    layout: Literal["artifact", "containerdisk"] | None = None
    """In a registry: the disk as a file, or in a tar that KubeVirt boots from."""

    replace: Annotated[bool, Parameter(negative="")] = False
    """Replace what is there under the same name."""

    verify: Annotated[bool, Parameter(negative="")] = False
    """Read all bytes back from the receiver and compare them."""

    read_url: str | None = None
    """The place where the bytes of a signed URL are read back, for --verify."""

    parts: Path | None = None
    """A JSON file with the signed URLs of the parts of an upload: urls, part_bytes, abort_url."""

    bucket: Bucket = field(default_factory=Bucket)

    receiver_token: Annotated[str | None, Parameter(env_var="FETCHER_RECEIVER_TOKEN", show_env_var=True)] = (
        None
    )
    """Yours for another image service; safer in the environment."""

    def body(self, url: str) -> dict[str, object]:
        """Return what the API takes beside image and URL.

        Raises:
            ValueError: A header is not of the form `Name: value`, or the parts cannot be read.
        """
        is_service = url.strip().lower().startswith(("glance://", "glance+"))
        given = {
            "headers": dict(_split(text) for text in self.header),
            "format": self.format,
            "layout": self.layout,
            "replace": self.replace or None,
            "verify": self.verify or None,
            "read_url": self.read_url,
            "parts": None if self.parts is None else _read_parts(self.parts),
            "s3": self.bucket.body(url),
            "token": self.receiver_token if is_service else None,
        }
        return {name: value for name, value in given.items() if value is not None}


def push(  # noqa: PLR0913 - all options of the command
    image: str,
    url: str,
    *,
    sending: Sending = Sending(),
    wait: Annotated[bool, Parameter(negative="")] = False,
    key: Key = None,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Send an image to a signed URL, a bucket, a registry or another image service.

    Args:
        image: Its ID, or its first characters.
        url: Where it goes: https://..., s3://BUCKET/KEY, oci://HOST/NAME:TAG or glance://REGION; its host
            must be one that the operator allows (`fetcher limits`).
        wait: Wait for the end; the exit code says how it ended.
        key: An Idempotency-Key: the same command run twice with it makes one export.
    """
    client, screen = server.client(), server.screen()
    body = {"image": find(client, image)["id"], "url": url, **sending.body(url)}
    headers = {"Idempotency-Key": key or f"cli-{uuid4()}"}
    export = client.call("POST", EXPORTS, body, headers)
    screen.say(f"Export {export['id']} of image {export['image_id']} to {export['receiver']}.")
    if wait:
        export = _followed(client, export["id"])
    return _show(screen, export)


def exports(
    *,
    state: str | None = None,
    limit: int = 20,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """List exports, the newest first.

    Args:
        state: Only those that are queued, running, waiting, succeeded, refused, failed or cancelled.
        limit: At most this many.
    """
    client, screen = server.client(), server.screen()
    narrowed = "" if state is None else f"&state={segment(state)}"
    found = client.get(f"{EXPORTS}?limit={limit}{narrowed}")
    if screen.as_json:
        screen.json(found)
        return Exit.OK
    rows = [
        (one["id"], one["state"], f"{one['progress']['percent']:g} %", one["receiver"])
        for one in found["exports"]
    ]
    screen.table(("ID", "STATE", "SENT", "RECEIVER"), rows)
    return Exit.OK


def _split(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"--header wants `Name: value`, not {text!r}.")
    return name.strip(), value.strip()


def _read_parts(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"--parts wants a file of JSON, and {file} is none.") from error


def _followed(client: Client, export_id: str) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for _name, document in client.events(f"{EXPORTS}/{segment(export_id)}/events"):
        last = document
    return last


def _show(screen: Screen, export: dict[str, Any]) -> Exit:
    if screen.as_json:
        screen.json(export)
    elif export["verdict"] is not None:
        verdict = export["verdict"]
        screen.say(" ".join(words for words in (verdict["title"], verdict["advice"]) if words))
        if export["answer"].get("etag"):
            screen.say(f"ETag {export['answer']['etag']}")
        if export["answer"].get("docker-content-digest"):
            screen.say(f"Digest {export['answer']['docker-content-digest']}")
        if export["read_back"] is not None:
            result, reason = export["read_back"]["result"], export["read_back"]["reason"]
            screen.say("Read back: the same bytes." if result == "matched" else f"Not read back: {reason}.")
    return exit_of_import(export)
