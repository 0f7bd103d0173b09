"""Staging folders of several hosts side by side: what a lost host has staged goes on at another one."""

from pathlib import Path

import pytest

from fetcher.errors import StoreFailed
from fetcher.store.filesystem.store import Store
from tests.images import raw

BODY = raw(300_000)
KEPT = 200_000


def store(folder: Path, name: str, *, is_shared: bool = True) -> Store:
    """Open the store of a host, whose staging folder is in one for all hosts."""
    home = folder / name
    home.mkdir(mode=0o700)
    if is_shared:
        (folder / "staging" / name).mkdir(parents=True)
        (home / "staging").symlink_to(folder / "staging" / name)
        (folder / "blobs").mkdir(exist_ok=True)
        (home / "blobs").symlink_to(folder / "blobs")
    made = Store(home, reserve=lambda _total: 0)
    made.open()
    return made


async def test_what_a_lost_host_has_staged_goes_on_elsewhere(tmp_path: Path) -> None:
    """From its mark; whatever it writes when it wakes changes nothing, and it commits nothing."""
    lost, other = store(tmp_path, "a"), store(tmp_path, "b")
    try:
        frozen = await lost.stage("pull", 1)
        frozen.write(BODY[:KEPT])
        frozen.sync()
        frozen.mark(KEPT, "0" * 64)
        frozen.write(b"behind the mark")
        assert await other.mark_of("pull.1") in {(KEPT, "0" * 64), None}  # Not all file systems keep marks.
        taken = await other.reopen("pull.1", KEPT)
        assert taken is not None
        assert (taken.size, taken.read_at(0, KEPT)) == (KEPT, BODY[:KEPT])

        frozen.write_at(b"x" * 100, 0)
        taken.write(BODY[KEPT:])
        assert taken.read_at(0, len(BODY)) == BODY
        async with lost.holding("1" * 64):
            with pytest.raises(StoreFailed):
                await lost.commit(frozen, "1" * 64)
        async with other.holding("2" * 64):
            await other.commit(taken, "2" * 64)
        assert (tmp_path / "blobs" / "22" / ("2" * 64)).read_bytes() == BODY
        assert [path for path in (tmp_path / "staging").rglob("*") if path.is_file()] == []
    finally:
        lost.close()
        other.close()


async def test_a_folder_of_ones_own_has_nothing_beside_it(tmp_path: Path) -> None:
    """Where staging is no link, other folders are nobody's business."""
    lost = store(tmp_path, "a", is_shared=False)
    other = store(tmp_path, "b", is_shared=False)
    try:
        staged = await lost.stage("pull", 1)
        staged.write(BODY)
        assert await other.reopen("pull.1", KEPT) is None
        assert await other.mark_of("pull.1") is None
        staged.discard()
    finally:
        lost.close()
        other.close()
