"""A selection taken in memory and MongoDB's projection agree on random documents."""

from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from service.query import Selection, projection
from service.query.masks import selecting, shown
from service.query.ordering import read_selection
from service.query.parameters import Problems
from tests.query.shop import ANYTHING

Documents = Collection[dict[str, Any]]

NAMES = ("a", "b", "0", "id")


def random_value(random: Random, depth: int) -> Any:
    shape = random.random() if depth else 1.0
    if shape < 0.4:
        return [random_value(random, depth - 1) for _ in range(random.randrange(4))]
    if shape < 0.7:
        return random_members(random, depth - 1)
    return random.choice((None, True, 0, 1.5, "a", ""))


def random_members(random: Random, depth: int) -> dict[str, Any]:
    names = random.sample(NAMES, k=random.randrange(len(NAMES) + 1))
    return {name: random_value(random, depth) for name in names}


def random_documents() -> list[dict[str, Any]]:
    random = Random(1776)  # noqa: S311  # the same documents in every run
    return [{"id": position, **_without_id(random_members(random, 4))} for position in range(400)]


def _without_id(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name != "id"}


DOCUMENTS = random_documents()


@pytest.fixture(scope="module")
def collection(mongodb_uri: str) -> Iterator[Documents]:
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        database = client.get_database(f"query_{uuid4().hex[:12]}")
        documents = database.get_collection("documents")
        documents.insert_many([{"_id": each["id"], **_without_id(each)} for each in DOCUMENTS])
        yield documents
        client.drop_database(database)


def _selection(names: list[list[str]], *, is_exclusion: bool) -> Selection | None:
    minus = "-" if is_exclusion else ""
    text = ",".join(minus + ".".join(path) for path in names)
    return read_selection(Problems(), ANYTHING, text)


names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
selections = st.builds(
    lambda paths, is_exclusion: _selection(paths, is_exclusion=is_exclusion),
    st.lists(names.filter(lambda path: path[0] != "id"), min_size=1, max_size=4),
    st.booleans(),
).filter(bool)


@settings(max_examples=60, deadline=None)
@given(selection=selections)
def test_selection_agrees_with_mongodb_projection(collection: Documents, selection: Selection) -> None:
    found = collection.find({}, projection(selection)).sort("_id")
    projected = [{("id" if name == "_id" else name): part for name, part in each.items()} for each in found]
    assert [shown(document, selecting(selection)) for document in DOCUMENTS] == projected


def test_nested_path_of_selected_path_is_redundant() -> None:
    selection = Selection((("a", "b"), ("a",), ("a", "b", "c")))
    assert shown({"id": 1, "a": {"b": {"c": 2}, "d": 3}}, selecting(selection)) == {
        "id": 1,
        "a": {"b": {"c": 2}, "d": 3},
    }
