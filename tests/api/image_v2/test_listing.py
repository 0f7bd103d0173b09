"""The query of a list: what is understood, and what is refused with the parameter's name."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from fetcher.api.image_v2.resources.listing import read_query
from fetcher.config import load_settings
from fetcher.errors import InvalidRequest
from fetcher.index.values import Filter, ImageQuery
from tests.api.image_v2.cloud import Cloud

SETTINGS = load_settings()
VISIBLE = Filter(key="os_hidden", values=(0,))


def read(query: str) -> ImageQuery:
    return read_query(QueryParams(query), SETTINGS)


UNDERSTOOD: dict[str, dict[str, Any]] = {
    "": {"limit": 25},
    "limit=0": {"limit": 0},
    "limit=100000": {"limit": 1000},
    "marker=x": {"marker": "x"},
    "visibility=all&member_status=pending&owner=me": {
        "visibility": "all",
        "member_status": "pending",
        "owner": "me",
    },
    "sort=name:asc,size": {"sort": (("name", False), ("size", True))},
    "sort=name:asc,name:desc": {"sort": (("name", False),)},
    "sort_key=name": {"sort": (("name", True),)},
    "sort_key=name&sort_dir=asc&sort_key=size&sort_dir=desc": {"sort": (("name", False), ("size", True))},
    "sort_key=name&sort_key=size&sort_dir=asc": {"sort": (("name", False), ("size", False))},
    "sort_dir=asc": {"sort": (("created_at", False),)},
    "name=a": {"filters": (Filter(key="name", values=("a",)), VISIBLE)},
    "name=eq:a": {"filters": (Filter(key="name", values=("a",)), VISIBLE)},
    "name=x:y": {"filters": (Filter(key="name", values=("x:y",)), VISIBLE)},
    'name=in:a,"b,c",d': {"filters": (Filter(key="name", operator="in", values=("a", "b,c", "d")), VISIBLE)},
    "tags=a": {"filters": (Filter(key="tag", values=("a",)), VISIBLE)},
    "size_min=5": {"filters": (Filter(key="size", operator="gte", values=(5,)), VISIBLE)},
    "size_max=5": {"filters": (Filter(key="size", operator="lte", values=(5,)), VISIBLE)},
    "min_ram=5": {"filters": (Filter(key="min_ram", values=(5,)), VISIBLE)},
    "os_hidden=True": {"filters": (Filter(key="os_hidden", values=(1,)),)},
    "protected=false": {"filters": (Filter(key="protected", values=(0,)), VISIBLE)},
    "tag=a&tag=b": {"filters": (Filter(key="tag", values=("a",)), Filter(key="tag", values=("b",)), VISIBLE)},
    "os_distro=x": {"filters": (Filter(key="property", name="os_distro", values=("x",)), VISIBLE)},
    "os_hash_algo=md5": {"filters": (Filter(key="os_hash_algo", values=("md5",)), VISIBLE)},
    "checksum=0a": {"filters": (Filter(key="checksum", values=("0a",)), VISIBLE)},
    "updated_at=gt:2026-01-01T01:00:00%2B01:00": {
        "filters": (Filter(key="updated_at", operator="gt", values=("2026-01-01T00:00:00.~",)), VISIBLE)
    },
    "created_at=2026-01-01": {
        "filters": (
            Filter(key="created_at", operator="gte", values=("2026-01-01T00:00:00",)),
            Filter(key="created_at", operator="lte", values=("2026-01-01T00:00:00.~",)),
            VISIBLE,
        )
    },
    "created_at=neq:2026-01-01": {
        "filters": (
            Filter(key="created_at_second", operator="neq", values=("2026-01-01T00:00:00",)),
            VISIBLE,
        )
    },
}


@pytest.mark.parametrize("query", UNDERSTOOD)
def test_what_is_understood(query: str) -> None:
    """Both forms of sorting, every kind of filter; hidden images only when asked for."""
    expected = {"limit": 25, "filters": (VISIBLE,)} | UNDERSTOOD[query]
    assert read(query) == ImageQuery(**expected)


REFUSED = [
    *("limit=-1", "limit=x", "limit=1e3", "sort=odd", "sort=name:up", "sort_key=odd", "sort_dir=up"),
    *("sort=name&sort_key=name", "sort_key=name&sort_dir=asc&sort_dir=desc", "visibility=odd"),
    *("member_status=odd", "size=x", "size_min=x", "size_max=-1", "protected=maybe", "os_hidden="),
    *('name=in:"a,b', 'name=in:a"b"', 'name=in:"a"b,c'),
    *("name=gt:a", "status=neq:active", "created_at=yesterday", "created_at=gt:", "changes-since=2026"),
    *("created_at=gt:0001-01-01T00:00:00%2B23:00", "&".join(f"tag={n}" for n in range(65))),
]


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_refused(query: str) -> None:
    """Never ignored: a filter that is not understood would list what nobody wanted."""
    with pytest.raises(InvalidRequest):
        read(query)


@given(
    pairs=st.lists(
        st.tuples(st.sampled_from([*UNDERSTOOD, "x"]).map(lambda q: q.partition("=")[0]), st.text())
    )
)
def test_no_query_breaks_the_reader(pairs: list[tuple[str, str]]) -> None:
    """Whatever text is sent, it is a query or a refusal."""
    try:
        query = read(urlencode(pairs))
    except InvalidRequest:
        return
    assert query.limit >= 0


@pytest.mark.asyncio(loop_scope="module")
async def test_links_lead_through_the_list(cloud: Cloud) -> None:
    """`next` keeps what was asked and begins after the last image; `first` begins anew."""
    made = [(await cloud.make(name="page", tags=["t"]))["id"] for _ in range(3)]
    page = await cloud.want(200, "alice", "GET", "/images?name=page&tag=t&limit=2")
    assert [image["id"] for image in page["images"]] == [made[2], made[1]]
    assert page["next"] == f"/v2/images?name=page&tag=t&limit=2&marker={made[1]}"
    assert page["schema"] == "/v2/schemas/images"
    rest = await cloud.want(200, "alice", "GET", page["next"].removeprefix("/v2"))
    assert [image["id"] for image in rest["images"]] == [made[0]]
    assert "next" not in rest
    assert rest["first"] == page["first"] == "/v2/images?name=page&tag=t&limit=2"
    assert (await cloud.want(200, "alice", "GET", "/images?limit=0"))["images"] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_filters_find_images_by_their_bytes_and_times(cloud: Cloud) -> None:
    """A digest or a moment as a record shows it finds that record again."""
    image = await cloud.make_active()
    moment = image["created_at"]
    queries = {
        f"os_hash_value={image['os_hash_value']}": True,
        f"checksum={image['checksum']}": True,
        f"checksum={'0' * 32}": False,
        f"created_at=eq:{moment}": True,
        f"created_at=neq:{moment}": False,
        f"created_at=gte:{moment}": True,
        f"created_at=gt:{moment}": False,
        f"created_at=lte:{moment}": True,
        f"created_at=lt:{moment}": False,
        f"id=in:{image['id']},x": True,
        "size_min=3000&size_max=3000&status=active": True,
        "min_disk_min=1": False,
    }
    for query, is_found in queries.items():
        page = await cloud.want(200, "alice", "GET", f"/images?limit=1000&{query}")
        assert (image["id"] in {one["id"] for one in page["images"]}) is is_found, query
    hidden = {"op": "replace", "path": "/os_hidden", "value": True}
    await cloud.patch(200, "alice", image["id"], hidden)
    for query, is_found in {"": False, "os_hidden=true": True}.items():
        page = await cloud.want(200, "alice", "GET", f"/images?limit=1000&{query}")
        assert (image["id"] in {one["id"] for one in page["images"]}) is is_found, query


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("query", ["marker=nope", "sort=odd", "size=x"])
async def test_a_bad_query_is_400(cloud: Cloud, query: str) -> None:
    """With the parameter's name in the message."""
    document = await cloud.want(400, "alice", "GET", f"/images?{query}")
    assert document["error"]["fields"]["field"]
