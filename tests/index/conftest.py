"""An open index and makers of its values."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from fetcher.index import Index
from fetcher.index.values import NewImport, Secrets
from fetcher.lifecycle import State
from fetcher.model import Actor, Blob, Image, Import, Status, Submission

ALICE = Actor(project_id="alice", user_id="a")
BOB = Actor(project_id="bob", user_id="b")
ADMIN = Actor(project_id="ops", user_id="o", roles=frozenset({"admin"}))
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def index(tmp_path: Path):
    async with Index(tmp_path / "index.sqlite") as opened:
        yield opened


def make(actor: Actor = ALICE, number: int = 0, **changes) -> NewImport:
    """A submission at second `number`."""
    now = START + timedelta(seconds=number)
    submission = Submission(
        url="https://u:secret@a.example/x", max_bytes=1000, tags=("t",), properties={"p": "v"}
    )
    image = Image(
        id=str(uuid4()),
        project_id=actor.project_id,
        status=Status.IMPORTING,
        tags=submission.tags,
        properties=submission.properties,
        created_at=now,
        updated_at=now,
    )
    record = Import(
        id=str(uuid4()),
        image_id=image.id,
        project_id=actor.project_id,
        user_id=actor.user_id,
        method="web-download",
        submission=submission,
        state=State.QUEUED,
        created_at=now,
        updated_at=now,
    )
    return msgspec.structs.replace(
        NewImport(
            record=record, image=image, secrets=Secrets(url=submission.url), shown_url="https://a.example/x"
        ),
        **changes,
    )


def blob(name: str = "1") -> Blob:
    """Some bytes' record."""
    digests = {"sha256": name * 64, "md5": name * 32, "sha512": name * 128}
    return Blob(address=name * 64, size=5, digests=digests, created_at=START)


async def activate(index: Index, new: NewImport, of: str | Blob = "1") -> bool:
    """Carry a submission through to an active image of these bytes, or of those of that name."""
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    done = msgspec.structs.replace(taken[0], state=State.SUCCEEDED, ended_at=START)
    return await index.imports.activate(
        done, blob(of) if isinstance(of, str) else of, new.image, {"story": "told"}
    )


def image(actor: Actor = ALICE, number: int = 0, **changes) -> Image:
    """A queued image made at second `number`."""
    now = START + timedelta(seconds=number)
    fields = {
        "id": str(uuid4()),
        "project_id": actor.project_id,
        "status": Status.QUEUED,
        "created_at": now,
        "updated_at": now,
    }
    return Image(**{**fields, **changes})
