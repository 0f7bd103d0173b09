"""The command that takes over the images of another image service."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fetcher.api.submit.words import size_words
from fetcher.cli.adopt.carry import MISSING_REMOTE, ImageNotMoved, came_from, carry
from fetcher.cli.adopt.origin import Image, Origin, find
from fetcher.cli.adopt.plan import BYTES, TO_DO, Accepted, Action, Step, has_same_bytes, step_for
from fetcher.cli.adopt.remote import check_remote, missing_lines
from fetcher.cli.choices import Server
from fetcher.cli.client import Client, segment
from fetcher.cli.exits import Exit
from fetcher.cli.progress import Bar
from fetcher.cli.screen import Screen


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImageSelection:
    """The choice of images."""

    project: str | None = None
    """The images that this project owns there."""

    all_projects: Annotated[bool, Parameter(negative="")] = False
    """The images of all projects; the token there has to be an admin's."""

    only: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """The image with this id; may be given several times."""

    def images(self, origin: Origin) -> tuple[list[Image], list[str]]:
        """Return the images, and the ids that the origin does not know.

        Raises:
            ValueError: Nobody said which, or in two ways.
        """
        if sum(map(bool, (self.project, self.all_projects, self.only))) != 1:
            raise ValueError("say which images: --all-projects, --project PROJECT or --only ID")
        if not self.only:
            return origin.images(self.project), []
        found = {image_id: origin.image(image_id) for image_id in dict.fromkeys(self.only)}
        return [image for image in found.values() if image], [key for key in found if not found[key]]


def adopt(  # noqa: PLR0913 - all options of the command
    *,
    from_: Annotated[str, Parameter(name="--from")],
    which: ImageSelection = ImageSelection(),
    token_env: str | None = None,
    token_file: Path | None = None,
    region: str = "origin",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Take over the images of a running Glance, or any Image API v2, with ids, owners and members.

    The server fetches the bytes itself, through all its guards, and holds them against the hash there.
    Run it again to go on: only what is missing or has changed is done. Nothing is changed at the origin.

    Args:
        from_: Where the other image service is, without `/v2`.
        token_env: The environment variable with the token for the other service; it also goes to the
            server, which hands it on.
        token_file: The file with that token.
        region: What the server's `image_api.remotes` calls the other service.
        dry_run: Show what would be done, and change nothing.
    """
    screen = server.screen()
    token = _token(token_env, token_file)
    if token and server.token and token != server.token:
        raise ValueError(
            "the server asks the other service with the token that it is called with: give the same one twice"
        )
    origin, client = Origin(from_, token), Client(server.server, server.token or token)
    images, unknown = which.images(origin)
    steps = _plan(origin, client, images)
    if dry_run:
        _show_plan(screen, steps, unknown)
        _show_missing(screen, client, origin.url, region)
        return Exit.OK
    if any(step.action in BYTES for step in steps):
        check_remote(client, region, origin.url)
    return _do(client, screen, steps, unknown, _Remote(region, origin.url))


@dataclass(frozen=True)
class _Remote:
    """The origin by the name that the server has for it, and its address."""

    region: str
    url: str


def _token(name: str | None, file: Path | None) -> str | None:
    if name and file:
        raise ValueError("give --token-env or --token-file, not both")
    if name and not os.environ.get(name):
        raise ValueError(f"the environment has no {name}")
    return os.environ[name] if name else file.read_text("utf-8").strip() if file else None


def _plan(origin: Origin, client: Client, images: list[Image]) -> list[Step]:
    schema = client.get("/v2/schemas/image")["properties"]
    accepted = Accepted(*(schema[name].get("enum") for name in ("disk_format", "container_format")))
    return [_step(origin, client, image, accepted) for image in images]


def _step(origin: Origin, client: Client, image: Image, accepted: Accepted) -> Step:
    path = f"/v2/images/{segment(image['id'])}"
    here = find(client, path)
    shared = here is not None and here["visibility"] == "shared"
    found = client.get(f"{path}/members")["members"] if shared else []
    members_here = {member["member_id"]: member["status"] for member in found}
    has_bytes = here is not None and here["status"] in {"active", "deactivated"}
    is_same = here is not None and has_bytes and (has_same_bytes(image, here) or came_from(client, image))
    return step_for(image, here, accepted, origin.members(image), members_here, is_same=is_same)


def _show_plan(screen: Screen, steps: list[Step], unknown: list[str]) -> None:
    if screen.as_json:
        screen.json({"images": [step.document() for step in steps], "unknown": unknown})
        return
    rows = [
        (
            step.image["id"],
            str(step.action),
            size_words(step.image.get("size")),
            step.image.get("name") or "",
            _why(step),
        )
        for step in steps
    ]
    rows += [(image_id, "unknown", "", "", "the origin has no such image") for image_id in unknown]
    screen.table(("ID", "WOULD", "SIZE", "NAME", "WHY"), rows, is_prose=True)
    size = sum(step.image.get("size") or 0 for step in steps if step.action in BYTES)
    counts = Counter(step.action for step in steps)
    words = ", ".join(f"{count} {action}" for action, count in sorted(counts.items())) or "no images"
    screen.say(f"{words}; {size_words(size)} to fetch. Nothing was changed.")


def _why(step: Step) -> str:
    changed = step.document()["changes"] if step.action is Action.UPDATE else []
    return "; ".join([*filter(None, [step.why, ", ".join(changed)]), *step.notes])


def _show_missing(screen: Screen, client: Client, url: str, region: str) -> None:
    try:
        check_remote(client, region, url)
    except ValueError as error:
        screen.verbatim(str(error))


def _do(client: Client, screen: Screen, steps: list[Step], unknown: list[str], remote: _Remote) -> Exit:
    """Do all steps, one image after the other, and sum up."""
    results: list[dict[str, Any]] = []
    is_missing = False
    for number, step in enumerate(steps, 1):
        result = _one(client, screen, step, remote.region)
        results.append(result)
        code = f" ({result['code']})" if result["code"] else ""
        why = f": {result['why']}{code}" if result["why"] else ""
        title = f"{step.image['id']} {step.image.get('name') or ''}".strip()
        screen.say(f"[{number}/{len(steps)}] {title}: {result['result']}{why}")
        is_missing = is_missing or result["code"] == MISSING_REMOTE
    results += [
        {"id": image_id, "result": "failed", "code": "unknown-image", "why": "the origin has no such image"}
        for image_id in unknown
    ]
    counts = Counter(result["result"] for result in results)
    if screen.as_json:
        screen.json({"counts": counts, "images": results})
    words = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no images"
    screen.say(f"{words}.")
    if is_missing:
        screen.verbatim(missing_lines(remote.url, remote.region))
    if counts["failed"]:
        return Exit.FAILED
    return Exit.REFUSED if counts[Action.CONFLICT] else Exit.OK


def _one(client: Client, screen: Screen, step: Step, region: str) -> dict[str, Any]:
    document = step.document()
    if step.action not in TO_DO:
        return {**document, "result": str(step.action), "code": ""}
    try:
        with Bar(screen.err, is_shown=screen.is_watched) as bar:
            carry(client, step, region, bar.show)
    except ImageNotMoved as failure:
        return {**document, "result": "failed", "code": failure.code, "why": str(failure)}
    done = "updated" if step.action is Action.UPDATE else "adopted"
    return {**document, "result": done, "code": ""}
