"""Before a pipeline documents are what their readers see of them, just as when they are read one by one."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from pymongo.collection import Collection

from service.access.decisions import ALLOWED, Decision, Grant, grants_for
from service.documents.visibility import mask_of
from service.query import masks
from service.query.tree import Compare, Elem, Node, Not, Selection
from service.saved_queries import narrowing

DOCUMENTS: list[dict[str, Any]] = [
    {
        "_id": number,
        "_version": 1,
        "a": number % 3,
        "b": {"x": number, "y": {"z": number % 2, "w": 1}},
        "c": [{"x": number, "y": 1}, 5, [{"x": 2, "y": 3}]],
        "d": [number % 2, "text"],
    }
    for number in range(12)
] + [{"_id": 12}, {"_id": 13, "a": None, "b": 7, "c": {"x": 1, "y": 2}, "d": {}}]

LOW = Compare(("a",), "lt", 2)
EVEN = Compare(("b", "y", "z"), "eq", 0)
FIRST = Compare(("id",), "lt", 6)
LISTED: Node = Elem(("c",), Compare(("x",), "gte", 4))


def only(*paths: str) -> Selection:
    return Selection(tuple(tuple(path.split(".")) for path in paths))


def all_but(*paths: str) -> Selection:
    return Selection(tuple(tuple(path.split(".")) for path in paths), is_exclusion=True)


def decision(*grants: tuple[Node | None, Selection | None]) -> Decision:
    return Decision(
        tuple(Grant(number, where, fields=fields) for number, (where, fields) in enumerate(grants))
    )


@pytest.fixture(scope="module")
def documents(mongodb_uri: str) -> Iterator["Collection[dict[str, Any]]"]:
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        database = client[f"test_{uuid4().hex[:12]}"]
        database.things.insert_many(DOCUMENTS)
        yield database.things
        client.drop_database(database.name)


def seen(granted: Decision) -> list[dict[str, Any]]:
    """Return what is seen of each document alone, in memory."""
    views = []
    for document in DOCUMENTS:
        if grants := grants_for(granted, document):
            named = {("id" if name == "_id" else name): value for name, value in document.items()}
            shown = masks.shown(named, mask_of(grants))
            views.append({("_id" if name == "id" else name): value for name, value in shown.items()})
    return views


EXACT = [
    ALLOWED,
    decision((LOW, None)),
    decision((LOW, None), (EVEN, None)),
    decision((None, only("a", "b.x", "c.y"))),
    decision((LOW, all_but("a", "b.y.z", "c.x"))),
    decision((LOW, only())),
    decision((None, only("a")), (LOW, None)),
    decision((None, all_but("b.x", "c.y")), (LOW, None), (EVEN, all_but("c"))),
    decision((LOW, only("a", "b.x")), (EVEN, only("c.y", "b.y")), (FIRST, only("d"))),
    decision((LOW, only("a", "b.x")), (Not(LOW), all_but("b.y.w", "c")), (LISTED, None)),
    decision((FIRST, only("a")), (LISTED, only("b")), (LOW, only("c.x")), (EVEN, only("d"))),
    decision((FIRST, only("a")), (LISTED, only("a")), (LOW, only("c.x"))),
]


@pytest.mark.parametrize("granted", EXACT, ids=range(len(EXACT)))
def test_row_filter_stages_show_what_matching_grants_allow(
    documents: "Collection[dict[str, Any]]", granted: Decision
) -> None:
    found = documents.aggregate([*narrowing.stages(granted), {"$sort": {"_id": 1}}]).to_list()
    assert found == seen(granted)


def test_row_filter_stages_work_inside_lookup(documents: "Collection[dict[str, Any]]") -> None:
    granted = decision((None, all_but("b", "c.x")), (LOW, all_but("c.y", "d")))
    lookup = {
        "from": documents.name,
        "localField": "_id",
        "foreignField": "_id",
        "pipeline": narrowing.stages(granted),
        "as": "self",
    }
    stages: list[dict[str, Any]] = [
        {"$sort": {"_id": 1}},
        {"$lookup": lookup},
        {"$replaceWith": {"$first": "$self"}},
    ]
    assert documents.aggregate(stages).to_list() == seen(granted)


def test_grants_above_mask_limit_show_only_common_fields(
    documents: "Collection[dict[str, Any]]",
) -> None:
    many = [(LOW, only("a", name)) for name in ("b.x", "b.y", "c.x", "c.y", "d")]
    assert len(many) > narrowing.MAXIMUM_MASKS
    found = documents.aggregate(narrowing.stages(decision(*many))).to_list()
    assert len(found) == len(seen(decision(*many)))
    assert {name for each in found for name in each} == {"_id", "_version", "a"}


def test_object_shown_only_partly_by_second_mask_is_left_out(
    documents: "Collection[dict[str, Any]]",
) -> None:
    granted = decision((None, all_but("b")), (None, only("b.x")))
    found = documents.aggregate([*narrowing.stages(granted), {"$sort": {"_id": 1}}]).to_list()
    assert found == seen(decision((None, all_but("b"))))
