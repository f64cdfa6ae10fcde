from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import schema as schemas
from service.documents.patches import json_patches
from service.kit import strict_json
from service.kit.errors import (
    BodyTooLarge,
    Failure,
    JsonInvalid,
    PatchConflict,
    PatchInvalid,
    PatchTestFailed,
)

FREE = schemas.compile({"type": "object"})
LIMIT_BYTES = 10_000


def patched(document: dict[str, Any], body: Any) -> Any:
    return json_patches.read(body)(document, FREE, LIMIT_BYTES)


def op(name: str, path: str, **members: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **members}


def move(source: str, path: str) -> dict[str, Any]:
    return {"op": "move", "from": source, "path": path}


def copy(source: str, path: str) -> dict[str, Any]:
    return {"op": "copy", "from": source, "path": path}


NESTED: dict[str, Any] = {"child": {"grandchild": {}}}
RFC_6902_APPENDIX_A: dict[str, tuple[dict[str, Any], list[Any], Any]] = {
    "A.1": ({"foo": "bar"}, [op("add", "/baz", value="qux")], {"baz": "qux", "foo": "bar"}),
    "A.2": ({"foo": ["bar", "baz"]}, [op("add", "/foo/1", value="qux")], {"foo": ["bar", "qux", "baz"]}),
    "A.3": ({"baz": "qux", "foo": "bar"}, [op("remove", "/baz")], {"foo": "bar"}),
    "A.4": ({"foo": ["bar", "qux", "baz"]}, [op("remove", "/foo/1")], {"foo": ["bar", "baz"]}),
    "A.5": (
        {"baz": "qux", "foo": "bar"},
        [op("replace", "/baz", value="boo")],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [move("/foo/waldo", "/qux/thud")],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [move("/foo/1", "/foo/3")],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [op("test", "/baz", value="qux"), op("test", "/foo/1", value=2)],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.9": ({"baz": "qux"}, [op("test", "/baz", value="bar")], PatchTestFailed),
    "A.10": ({"foo": "bar"}, [op("add", "/child", value={"grandchild": {}})], {"foo": "bar", **NESTED}),
    "A.11": ({"foo": "bar"}, [op("add", "/baz", value="qux", xyz=123)], {"foo": "bar", "baz": "qux"}),
    "A.12": ({"foo": "bar"}, [op("add", "/baz/bat", value="qux")], PatchConflict),
    "A.14": ({"/": 9, "~1": 10}, [op("test", "/~01", value=10)], {"/": 9, "~1": 10}),
    "A.15": ({"/": 9, "~1": 10}, [op("test", "/~01", value="10")], PatchTestFailed),
    "A.16": ({"foo": ["bar"]}, [op("add", "/foo/-", value=["abc", "def"])], {"foo": ["bar", ["abc", "def"]]}),
}

MORE: list[tuple[dict[str, Any], list[Any], Any]] = [
    ({"a": 1}, [], {"a": 1}),
    ({}, [op("add", "/", value=1)], {"": 1}),
    ({"a": {}}, [op("add", "/a/", value=1)], {"a": {"": 1}}),
    ({"a": 1}, [op("add", "/a", value=2)], {"a": 2}),
    ({"a": 1}, [op("add", "/b", value=None)], {"a": 1, "b": None}),
    ({"a": []}, [op("add", "/a/0", value=1), op("add", "/a/-", value=2)], {"a": [1, 2]}),
    ({"a": [1]}, [op("add", "/a/1", value=2)], {"a": [1, 2]}),
    ({"a": [1]}, [op("add", "/a/2", value=2)], PatchConflict),
    ({"a": [1]}, [op("add", "/a/-1", value=2)], PatchConflict),
    ({"a": [1, 2]}, [op("add", "/a/01", value=2)], PatchConflict),
    ({"a": [1, 2]}, [op("add", "/a/1e0", value=2)], PatchConflict),
    ({"a": [1, 2]}, [op("add", "/a/\u0661", value=2)], PatchConflict),
    ({"a": [1, 2]}, [op("add", "/a/x", value=2)], PatchConflict),
    ({"a": {"01": 1}}, [op("replace", "/a/01", value=2)], {"a": {"01": 2}}),
    ({"a": [1, 2]}, [op("replace", "/a/0", value=3)], {"a": [3, 2]}),
    ({"a": [1, 2]}, [op("replace", "/a/-", value=3)], PatchConflict),
    ({"a": [1, 2]}, [op("remove", "/a/2")], PatchConflict),
    ({"a": [1, 2]}, [op("remove", "/a/-")], PatchConflict),
    ({"a": "text"}, [op("add", "/a/0", value=1)], PatchConflict),
    ({"a": 1}, [op("replace", "/b", value=1)], PatchConflict),
    ({"a": 1}, [op("remove", "/b")], PatchConflict),
    ({"a": 1}, [move("/b", "/c")], PatchConflict),
    ({"a": 1}, [copy("/b", "/c")], PatchConflict),
    ({"a": 1}, [op("test", "/b", value=None)], PatchTestFailed),
    ({"a": 1}, [move("/a", "/a")], {"a": 1}),
    ({"a": {"b": 1}}, [move("/a/b", "/a")], {"a": 1}),
    ({"a": [1, 2, 3]}, [move("/a/0", "/a/-")], {"a": [2, 3, 1]}),
    (
        {"a": {"b": [1]}},
        [copy("/a", "/c"), op("add", "/c/b/-", value=2)],
        {"a": {"b": [1]}, "c": {"b": [1, 2]}},
    ),
    ({"a": {"b": 1}}, [copy("/a", "")], {"b": 1}),
    ({"a": 1}, [op("replace", "", value={"b": 2})], {"b": 2}),
    ({"a": 1}, [op("add", "", value=[1])], [1]),
    ({"a": 1}, [op("test", "", value={"a": 1.0})], {"a": 1}),
    ({"a": 1}, [op("test", "/a", value=1.0)], {"a": 1}),
    ({"a": 1}, [op("test", "/a", value=True)], PatchTestFailed),
    ({"a": 0}, [op("test", "/a", value=False)], PatchTestFailed),
    ({"a": None}, [op("test", "/a", value=None)], {"a": None}),
    (
        {"a": {"x": [1, {"y": "z"}]}},
        [op("test", "/a", value={"x": [1.0, {"y": "z"}]})],
        {"a": {"x": [1, {"y": "z"}]}},
    ),
    ({"a": [1, 2]}, [op("test", "/a", value=[2, 1])], PatchTestFailed),
    ({"a": {"b": 1}}, [op("test", "/a", value={"b": 1, "c": 2})], PatchTestFailed),
    ({"a": "1"}, [op("test", "/a", value=1)], PatchTestFailed),
    ({"a~b": 1}, [op("replace", "/a~0b", value=2)], {"a~b": 2}),
    ({"a/b": 1}, [op("replace", "/a~1b", value=2)], {"a/b": 2}),
    ({"a": 1, "b": 2}, [op("remove", "/a"), op("remove", "/a")], PatchConflict),
]


@pytest.mark.parametrize(
    ("document", "body", "expected"),
    [*RFC_6902_APPENDIX_A.values(), *MORE],
    ids=[*RFC_6902_APPENDIX_A, *(str(row[1])[:60] for row in MORE)],
)
def test_operations_follow_rfc_6902(document: dict[str, Any], body: list[Any], expected: Any) -> None:
    before = deepcopy((document, body))
    if isinstance(expected, type) and issubclass(expected, Failure):
        with pytest.raises(expected):
            patched(document, body)
    else:
        assert patched(document, body) == expected
    assert (document, body) == before


def test_patch_with_duplicate_member_is_invalid_json() -> None:
    text = b'[{"op": "add", "path": "/baz", "value": "qux", "op": "remove"}]'  # RFC 6902, A.13
    with pytest.raises(JsonInvalid):
        strict_json.parse(text)


MALFORMED: list[tuple[Any, str, str]] = [
    ({}, "", "type"),
    ([1], "/0", "type"),
    ([op("test", "", value={}), {"path": ""}], "/1/op", "enum"),
    ([op("ad", "/a", value=1)], "/0/op", "enum"),
    ([op("spam", "/a")], "/0/op", "enum"),
    ([{"op": ["add"], "path": ""}], "/0/op", "enum"),
    ([{"op": "add", "value": 1}], "/0/path", "required"),
    ([{"op": "add", "path": 7, "value": 1}], "/0/path", "type"),
    ([op("add", "a", value=1)], "/0/path", "pointer"),
    ([op("add", "/a~2", value=1)], "/0/path", "pointer"),
    ([op("add", "/a~", value=1)], "/0/path", "pointer"),
    ([op("add", "/" + "a" * 2000, value=1)], "/0/path", "pointer"),
    ([op("add", "/a" * 101, value=1)], "/0/path", "pointer"),
    ([op("add", "/a")], "/0/value", "required"),
    ([op("test", "/a")], "/0/value", "required"),
    ([op("move", "/a")], "/0/from", "required"),
    ([{"op": "copy", "path": "/a", "from": 3}], "/0/from", "type"),
    ([move("/a", "/a/b")], "/0/path", "form"),
    ([move("", "/a")], "/0/path", "form"),
    ([op("remove", "")], "/0/path", "form"),
]


@pytest.mark.parametrize(("body", "pointer", "code"), MALFORMED)
def test_malformed_patch_is_refused_with_pointer_and_code(body: Any, pointer: str, code: str) -> None:
    with pytest.raises(PatchInvalid) as caught:
        json_patches.read(body)
    assert [(each.pointer, each.code) for each in caught.value.errors] == [(pointer, code)]


def test_failure_points_to_its_operation() -> None:
    body = [op("add", "/b", value=1), copy("/b", "/c"), move("/x", "/y")]
    with pytest.raises(PatchConflict) as conflict:
        patched({}, body)
    assert [each.pointer for each in conflict.value.errors] == ["/2/from"]
    with pytest.raises(PatchTestFailed) as failed:
        patched({"a": 1}, [op("test", "/a", value=1), op("test", "/a", value=2)])
    assert [each.pointer for each in failed.value.errors] == ["/1/value"]


def test_patch_exceeding_size_work_or_depth_limits_is_refused() -> None:
    doubling = [op("add", "/a", value=["x" * 100]), *[copy("/a", "/a/-")] * 60]
    with pytest.raises(BodyTooLarge):
        patched({}, doubling)
    moving = [move("/a", "/b"), move("/b", "/a")] * 50
    with pytest.raises(BodyTooLarge):
        patched({"a": "x" * 1000}, moving)
    replacing = [op("replace", "", value={})] * 50
    with pytest.raises(BodyTooLarge):
        patched({"a": "x" * 1000}, replacing)
    with pytest.raises(PatchInvalid):
        patched({}, [op("add", "/a", value=1)] * 1001)
    deep: Any = {}
    for _ in range(60):
        deep = {"a": deep}
    with pytest.raises(PatchInvalid):
        patched({"b": deep, "c": deep}, [move("/b", "/c" + "/a" * 60 + "/x")])


POINTERS = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "~0", "~1", "01", ""]), max_size=3).map(
    lambda steps: "".join(f"/{step}" for step in steps)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(json_patches.NAMES), "path": POINTERS, "from": POINTERS, "value": VALUES}
)


@given(st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2), st.lists(OPERATIONS, max_size=5))
def test_any_patch_returns_document_or_declared_failure(document: dict[str, Any], body: list[Any]) -> None:
    before = deepcopy((document, body))
    with suppress(PatchInvalid, PatchConflict, PatchTestFailed):
        patched(document, body)
    assert (document, body) == before
