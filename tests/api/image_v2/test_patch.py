"""Reading a patch: what is no patch is refused with what one is."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.api.image_v2.resources.patch import NEW, OLD, apply_changes, read_changes, read_pointer
from fetcher.config import load_settings
from fetcher.errors import Conflict, Failure, Forbidden, InvalidRequest, QuotaExceeded, WrongMediaType
from tests.index.conftest import ALICE, image

SETTINGS = load_settings()


def read(document: Any, media_type: str = NEW) -> Any:
    return read_changes(media_type, json.dumps(document).encode(), SETTINGS)


BAD: list[tuple[Any, str]] = [
    ({}, NEW),
    ([1], NEW),
    ([{}], NEW),
    ([{"op": "replace", "path": "/name"}], NEW),
    ([{"op": "move", "path": "/name", "from": "/x"}], NEW),
    ([{"op": "test", "path": "/name", "value": "x"}], NEW),
    ([{"op": ["add"], "path": "/name", "value": "x"}], NEW),
    ([{"op": "add", "path": "name", "value": "x"}], NEW),
    ([{"op": "add", "path": "/tags/0", "value": "x"}], NEW),
    ([{"op": "add", "path": "/a~2", "value": "x"}], NEW),
    ([{"op": "add", "path": "/", "value": "x"}], NEW),
    ([{"op": "add", "path": 5, "value": "x"}], NEW),
    ([{"op": "replace", "path": "/min_ram", "value": "4"}], NEW),
    ([{"op": "replace", "path": "/protected", "value": "yes"}], NEW),
    ([{"op": "replace", "path": "/visibility", "value": None}], NEW),
    ([{"add": "/name", "remove": "/name", "value": "x"}], OLD),
    ([{"op": "add", "path": "/name", "value": "x"}], OLD),
    ([{"op": "add", "path": "/name", "value": "x"}] * 1001, NEW),
]


@pytest.mark.parametrize(("document", "media_type"), BAD)
def test_what_is_no_patch_is_refused(document: Any, media_type: str) -> None:
    """Move, copy and test are not part of the Image API's subset either."""
    with pytest.raises(InvalidRequest):
        read(document, media_type)


@pytest.mark.parametrize(
    "path", ["/id", "/status", "/size", "/os_hash_value", "/locations", "/os_glance_x", "/deleted"]
)
def test_ours_and_reserved_are_forbidden(path: str) -> None:
    """403, as the reference says it: the request is well-formed, but not theirs to make."""
    with pytest.raises(Forbidden):
        read([{"op": "add", "path": path, "value": "x"}])


def test_other_media_types_are_named_back() -> None:
    """The answer says which two there are."""
    with pytest.raises(WrongMediaType, match=r"v2\.1-json-patch"):
        read([], "application/json-patch+json")


APPLIED: list[tuple[str, Any, type[Failure] | None]] = [
    (NEW, {"op": "add", "path": "/there", "value": "y"}, None),
    (OLD, {"add": "/there", "value": "y"}, Conflict),
    (OLD, {"add": "/new", "value": "y"}, None),
    (OLD, {"add": "/name", "value": "y"}, Conflict),
    (NEW, {"op": "remove", "path": "/new"}, Conflict),
    (NEW, {"op": "replace", "path": "/new", "value": "y"}, Conflict),
    (NEW, {"op": "remove", "path": "/name"}, Forbidden),
    (NEW, {"op": "replace", "path": "/owner", "value": "b"}, Forbidden),
    (NEW, {"op": "replace", "path": "/owner", "value": "alice"}, None),
    (NEW, {"op": "replace", "path": "/visibility", "value": "public"}, Forbidden),
    (NEW, {"op": "replace", "path": "/visibility", "value": "community"}, None),
]


@pytest.mark.parametrize(("media_type", "change", "failure"), APPLIED)
def test_changes_meet_the_image_as_it_is(media_type: str, change: Any, failure: type[Failure] | None) -> None:
    """Adding in the old form means that nothing was there; only an admin publishes or gives away."""
    before = image(properties={"there": "x"})
    changes = read([change], media_type)
    if failure is None:
        assert apply_changes(before, changes, ALICE, SETTINGS) is not None
    else:
        with pytest.raises(failure):
            apply_changes(before, changes, ALICE, SETTINGS)


@given(name=st.text(min_size=1))
def test_a_pointer_comes_back_as_the_name(name: str) -> None:
    """Slash and tilde are escaped, and nothing else is special (RFC 6901 section 4)."""
    assert read_pointer("/" + name.replace("~", "~0").replace("/", "~1")) == name


@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["op", "path", "value", "add"]), x),
        max_leaves=8,
    )
)
def test_no_document_breaks_the_reader(document: Any) -> None:
    """Whatever JSON is sent, the answer is a list of changes or a refusal."""
    for media_type in (NEW, OLD):
        with suppress(InvalidRequest, Forbidden, QuotaExceeded):
            assert isinstance(read(document, media_type), list)
