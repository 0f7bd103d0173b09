"""Ids of what is made."""

from uuid import RFC_4122, UUID

from fetcher.ids import BATCH, new_id


def test_ids_are_random_uuids_and_no_two_are_alike() -> None:
    """Each is a version 4 UUID in the form that UUIDs are written in, also across batches."""
    ids = [new_id() for _ in range(3 * BATCH)]
    assert len(set(ids)) == len(ids)
    for text in ids:
        made = UUID(text)
        assert (str(made), made.version, made.variant) == (text, 4, RFC_4122)
