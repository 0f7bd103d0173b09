"""Metadata definitions: namespaces, what is in them, who sees and who changes them."""

from datetime import timedelta

import msgspec
import pytest

from fetcher.errors import Conflict, Forbidden, NotFound, QuotaExceeded
from fetcher.index.protocol import Index
from fetcher.index.values import (
    ITEM_ORDERS,
    METADEF_ORDERS,
    At,
    Bounds,
    Content,
    Item,
    Namespace,
    NamespaceQuery,
    Page,
)
from tests.index.conftest import ADMIN, ALICE, BOB, START

BOUNDS = Bounds(max_namespaces=5, max_items=3, max_namespace_bytes=1000)


def namespace(name: str = "n", number: int = 0, **changes: object) -> Namespace:
    at = START + timedelta(seconds=number)
    fields = {"namespace": name, "visibility": "public", "owner": "alice", "created_at": at, "updated_at": at}
    return Namespace(**{**fields, **changes})  # type: ignore[arg-type] # fields by name, as each test wants them


def item(kind: str = "property", name: str = "p", **document: object) -> Item:
    return Item(kind=kind, name=name, document=document, created_at=START, updated_at=START)  # type: ignore[arg-type] # the kinds are the test's parameters


def content(*items: Item, **changes: object) -> Content:
    return Content(**{"items": items, "bounds": BOUNDS, **changes})  # type: ignore[arg-type] # fields by name, as each test wants them


async def names(index: Index, actor: object = ALICE, **query: object) -> list[str]:
    found = await index.metadefs.page(actor, NamespaceQuery(**{"page": Page(), **query}))  # type: ignore[arg-type] # likewise
    return [one.namespace for one, _ in found]


async def test_a_namespace_is_read_with_everything_in_it(index: Index) -> None:
    """In the order in which it came, documents as they were given."""
    items = [
        item(name="z", a=[1, None, "ä"]),
        item("object", "o"),
        item("tag", "t"),
        item("association", "X::Y"),
    ]
    await index.metadefs.create(namespace(), content(*items))
    assert await index.metadefs.find("n", ALICE) == (namespace(), items)
    assert await index.metadefs.page(ALICE, NamespaceQuery(page=Page())) == [(namespace(), items[3:])]


async def test_private_namespaces_are_their_owners(index: Index) -> None:
    """Another project sees none of it, and an admin everything."""
    await index.metadefs.create(namespace(visibility="private"), content(item()))
    assert await names(index, ALICE) == await names(index, ADMIN) == ["n"]
    assert await names(index, BOB) == []
    with pytest.raises(NotFound):
        await index.metadefs.find("n", BOB)
    with pytest.raises(NotFound):
        await index.metadefs.items(At(namespace="n", kind="property"), BOB, Page())
    with pytest.raises(Forbidden):
        await index.metadefs.add(At(namespace="n", kind="tag"), ALICE, content(item("tag", "t")))


async def test_a_name_is_taken_once(index: Index) -> None:
    """What is refused leaves nothing: not the namespace, not the items before the one that is taken."""
    await index.metadefs.create(namespace(), content())
    with pytest.raises(Conflict):
        await index.metadefs.create(namespace(), content(item()))
    with pytest.raises(Conflict):
        await index.metadefs.create(namespace("m"), content(item(), item()))
    assert await names(index) == ["n"]
    with pytest.raises(Conflict):
        await index.metadefs.add(At(namespace="n", kind="property"), ADMIN, content(item(), item()))
    assert await index.metadefs.items(At(namespace="n", kind="property"), ALICE, Page()) == []


async def test_definitions_are_bounded(index: Index) -> None:
    """Namespaces, items of a kind, and bytes: at the bound passes, one past it is told."""
    for number in range(5):
        await index.metadefs.create(namespace(f"n{number}"), content())
    with pytest.raises(QuotaExceeded):
        await index.metadefs.create(namespace("n5"), content())
    at = At(namespace="n0", kind="tag")
    await index.metadefs.add(at, ADMIN, content(*(item("tag", f"t{number}") for number in range(3))))
    with pytest.raises(QuotaExceeded):
        await index.metadefs.add(at, ADMIN, content(item("tag", "t3")))
    with pytest.raises(QuotaExceeded):
        await index.metadefs.add(
            At(namespace="n0", kind="object"), ADMIN, content(item("object", "o", d="x" * 999))
        )
    assert len((await index.metadefs.find("n0", ALICE))[1]) == 3


@pytest.mark.parametrize("key", METADEF_ORDERS)
@pytest.mark.parametrize("down", [False, True], ids=["rising", "falling"])
async def test_pages_hold_each_namespace_once(index: Index, key: str, down: bool) -> None:
    """Whatever the order, with ties in it."""
    for number in range(5):
        words = {"display_name": None if number % 2 else "d", "owner": "alice" if number % 3 else "carl"}
        await index.metadefs.create(namespace(f"n{number}", number // 2, **words), content())
    page = Page(sort_key=key, is_descending=down, limit=2)
    seen: list[str] = []
    while found := await names(index, page=page):
        seen += found
        page = msgspec.structs.replace(page, marker=seen[-1])
    assert sorted(seen) == [f"n{number}" for number in range(5)]
    assert await names(index, page=Page(sort_key=key, is_descending=down)) == seen
    with pytest.raises(NotFound):
        await names(index, page=Page(marker="gone"))


async def test_namespaces_are_filtered(index: Index) -> None:
    """By visibility, and by the resource types that they are for."""
    await index.metadefs.create(namespace("a"), content(item("association", "X::Y")))
    await index.metadefs.create(namespace("b", visibility="private"), content())
    assert await names(index, visibility="private") == ["b"]
    assert await names(index, resource_types=("X::Y", "X::Z")) == ["a"]
    assert await names(index, resource_types=("X::Z",)) == []


@pytest.mark.parametrize("key", ITEM_ORDERS)
async def test_items_are_paged(index: Index, key: str) -> None:
    """Of one kind, after the one that is named."""
    await index.metadefs.create(
        namespace(), content(*(item(name=f"p{n}") for n in range(3)), item("tag", "t"))
    )
    at = At(namespace="n", kind="property")
    page = Page(sort_key=key, is_descending=False, limit=2)
    first = await index.metadefs.items(at, ALICE, page)
    assert [one.name for one in first] == ["p0", "p1"]
    rest = await index.metadefs.items(at, ALICE, msgspec.structs.replace(page, marker="p1"))
    assert [one.name for one in rest] == ["p2"]
    with pytest.raises(NotFound):
        await index.metadefs.items(at, ALICE, msgspec.structs.replace(page, marker="t"))


async def test_an_item_is_put_in_the_place_of_another(index: Index) -> None:
    """Under its own or a free name, and as old as the one before."""
    await index.metadefs.create(namespace(), content(item(), item(name="q")))
    later = msgspec.structs.replace(item(name="r", a=1), created_at=START + timedelta(days=1))
    at = At(namespace="n", kind="property", name="p")
    with pytest.raises(Conflict):
        await index.metadefs.edit(at, ADMIN, item(name="q"), BOUNDS)
    expected = msgspec.structs.replace(later, created_at=START)
    assert await index.metadefs.edit(at, ADMIN, later, BOUNDS) == expected
    assert await index.metadefs.item(At(namespace="n", kind="property", name="r"), ALICE) == expected
    with pytest.raises(NotFound):
        await index.metadefs.item(at, ALICE)


async def test_what_is_removed_is_gone(index: Index) -> None:
    """One item, all of a kind, all of them by replacement, or the namespace; not where it is protected."""
    await index.metadefs.create(namespace(), content(item(), item(name="q"), item("tag", "t")))
    await index.metadefs.remove(At(namespace="n", kind="property", name="p"), ADMIN)
    with pytest.raises(NotFound):
        await index.metadefs.remove(At(namespace="n", kind="property", name="p"), ADMIN)
    await index.metadefs.remove(At(namespace="n", kind="property"), ADMIN)
    assert [one.name for one in (await index.metadefs.find("n", ALICE))[1]] == ["t"]
    await index.metadefs.add(At(namespace="n", kind="tag"), ADMIN, content(item("tag", "u"), replaces=True))
    assert [one.name for one in (await index.metadefs.find("n", ALICE))[1]] == ["u"]
    await index.metadefs.change("n", ADMIN, lambda one: msgspec.structs.replace(one, is_protected=True))
    for removal in (
        index.metadefs.delete("n", ADMIN),
        index.metadefs.remove(At(namespace="n", kind="tag"), ADMIN),
    ):
        with pytest.raises(Forbidden):
            await removal
    await index.metadefs.change("n", ADMIN, lambda one: msgspec.structs.replace(one, is_protected=False))
    await index.metadefs.delete("n", ADMIN)
    with pytest.raises(NotFound):
        await index.metadefs.find("n", ADMIN)


async def test_a_namespace_is_renamed_to_a_free_name(index: Index) -> None:
    """With everything in it, by admins alone."""
    for name in ("a", "b"):
        await index.metadefs.create(namespace(name), content(item()))
    rename = lambda one: msgspec.structs.replace(one, namespace="b")  # noqa: E731 - one word a line
    with pytest.raises(Conflict):
        await index.metadefs.change("a", ADMIN, rename)
    with pytest.raises(Forbidden):
        await index.metadefs.change("a", ALICE, rename)
    await index.metadefs.change("a", ADMIN, lambda one: msgspec.structs.replace(one, namespace="c"))
    assert (await index.metadefs.find("c", ALICE))[1] == [item()]


async def test_resource_types_come_with_an_association_and_go_with_the_last(index: Index) -> None:
    """Known ones are always there."""
    known = [one.name for one in await index.metadefs.resource_types()]
    assert "OS::Glance::Image" in known
    await index.metadefs.create(namespace(), content(item("association", "X::Y")))
    assert [one.name for one in await index.metadefs.resource_types()] == [*known, "X::Y"]
    await index.metadefs.delete("n", ADMIN)
    assert [one.name for one in await index.metadefs.resource_types()] == known


@pytest.mark.parametrize(
    ("mode", "done", "documents"),
    [
        ("skip", "kept", {"p": {"a": 1}}),
        ("merge", "changed", {"p": {"a": 1}, "q": {}}),
        ("update", "changed", {"p": {"a": 2}, "q": {}}),
        ("replace", "changed", {"p": {"a": 2}, "q": {}}),
    ],
)
async def test_definition_files_are_brought_in(
    index: Index, mode: str, done: str, documents: dict[str, object]
) -> None:
    """A new namespace is added; for one that is there the mode decides, and a second time is no change."""
    assert await index.metadefs.load(namespace(), content(item(a=1)), mode) == "added"  # type: ignore[arg-type] # the mode is the test's parameter
    again = content(item(a=2), item(name="q"))
    assert await index.metadefs.load(namespace(), again, mode) == done  # type: ignore[arg-type] # likewise
    _, items = await index.metadefs.find("n", ALICE)
    assert {one.name: one.document for one in items} == documents
    if mode in {"merge", "update"}:
        assert await index.metadefs.load(namespace(), again, mode) == "kept"  # type: ignore[arg-type] # likewise
