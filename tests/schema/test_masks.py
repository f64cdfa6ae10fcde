import copy
from typing import Any

import pytest

from service.schema import Schema
from service.schema import compile as compile_schema
from tests.pace import within

READ_ONLY = {"type": "number", "readOnly": True}
SECRET = {"type": "string", "writeOnly": True}


def schema_with(**members: Any) -> Schema:
    return compile_schema({"type": "object", "properties": members})


GUARDED = schema_with(
    name={"type": "string"},
    score=READ_ONLY,
    below={"type": "object", "properties": {"score": READ_ONLY, "name": {"type": "string"}}},
    rows={"type": "array", "items": {"type": "object", "properties": {"score": READ_ONLY}}},
    whole={"type": "object", "readOnly": True, "properties": {"x": {"type": "number"}}},
    counts={"type": "object", "additionalProperties": READ_ONLY},
)
PRESENT = {
    "id": "5eb7cf5a86d9755df3a6c593",
    "_version": 3,
    "_owner": None,
    "name": "n",
    "score": 1,
    "below": {"score": 2, "name": "b"},
    "rows": [{"score": 5}, {"score": 6}],
    "whole": {"x": 1},
    "counts": {"a": 1},
}


@pytest.mark.parametrize(
    ("body", "present", "pointers"),
    [
        (PRESENT, PRESENT, []),
        ({"name": "other"}, PRESENT, []),
        ({"name": "other"}, None, []),
        ({"score": 2}, PRESENT, ["/score"]),
        ({"score": True}, PRESENT, ["/score"]),
        ({"score": 1.0}, PRESENT, []),
        ({"score": 1}, None, ["/score"]),
        ({"_version": 4, "id": "x"}, PRESENT, ["/_version", "/id"]),
        ({"_owner": None}, None, ["/_owner"]),
        ({"below": {"score": 2, "name": "new"}}, PRESENT, []),
        ({"below": {"score": 3}}, PRESENT, ["/below/score"]),
        ({"below": {"score": 2}}, {"name": "n"}, ["/below/score"]),
        ({"below": {"name": "new"}}, None, []),
        ({"rows": [{}, {"score": 6}, {"score": 5}]}, PRESENT, []),
        ({"rows": [{"score": 7}]}, PRESENT, ["/rows/0/score"]),
        ({"whole": {"x": 2}}, PRESENT, ["/whole"]),
        ({"whole": {"x": 1, "y": 1}}, PRESENT, ["/whole"]),
        ({"counts": {"a": 1, "b/c": 2}}, PRESENT, ["/counts/b~1c"]),
    ],
)
def test_read_only_member_may_only_repeat_current_value(
    body: dict[str, Any], present: dict[str, Any] | None, pointers: list[str]
) -> None:
    violations = GUARDED.read_only_violations(body, present)

    assert [violation.pointer for violation in violations] == pointers
    assert {violation.code for violation in violations} <= {"read_only"}


def test_read_only_members_of_many_elements_are_compared_quickly() -> None:
    rows = [{"score": number} for number in range(20_000)]
    with within(2):
        assert GUARDED.read_only_violations({"rows": rows[::-1]}, {"rows": rows}) == []


def test_read_only_violation_names_member() -> None:
    [violation] = GUARDED.read_only_violations({"below": {"score": 3}}, PRESENT)

    assert violation.as_json() == {
        "pointer": "/below/score",
        "code": "read_only",
        "detail": "`score` is read-only",
    }


HIDING = compile_schema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "secret": SECRET,
            "below": {"type": "object", "properties": {"secret": SECRET, "name": {"type": "string"}}},
            "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
            "codes": {"type": "array", "items": SECRET},
            "kept": {"type": "object", "additionalProperties": SECRET},
            "maybe": {"anyOf": [{"$ref": "#/$defs/row"}, {"type": "null"}]},
        },
        "$defs": {
            "row": {"type": "object", "properties": {"secret": SECRET, "row": {"$ref": "#/$defs/row"}}}
        },
    }
)


def test_write_only_members_are_not_visible() -> None:
    stored = {
        "_id": 1,
        "_version": 2,
        "name": "n",
        "secret": "s",
        "below": {"secret": "s", "name": "b"},
        "rows": [{"secret": "s", "row": {"secret": "s", "x": 1}}, {"x": 2}, "odd"],
        "codes": ["s"],
        "kept": {"x": "s"},
        "maybe": {"secret": "s"},
        "undeclared": {"secret": "plain"},
    }
    before = copy.deepcopy(stored)

    assert HIDING.visible(stored) == {
        "_id": 1,
        "_version": 2,
        "name": "n",
        "below": {"name": "b"},
        "rows": [{"row": {"x": 1}}, {"x": 2}, "odd"],
        "codes": [],
        "kept": {},
        "maybe": {},
        "undeclared": {"secret": "plain"},
    }
    assert stored == before


def test_write_only_members_are_hidden_in_older_document_shapes() -> None:
    stored = {"below": [{"secret": "s", "name": "b"}], "rows": {"secret": "s", "x": 1}, "codes": {"a": "s"}}

    assert HIDING.visible(stored) == {"below": [{"name": "b"}], "rows": {"x": 1}, "codes": {}}


def test_system_fields_stay_visible_when_all_else_is_write_only() -> None:
    schema = compile_schema({"type": "object", "additionalProperties": SECRET})

    assert schema.visible({"_id": 1, "_owner": None, "x": "s"}) == {"_id": 1, "_owner": None}


def test_document_without_write_only_members_is_same_object() -> None:
    stored = {"_id": 1, "name": "n"}

    assert GUARDED.visible(stored) is stored


def test_write_only_field_cannot_be_resolved_by_query() -> None:
    paths = [
        ("secret",),
        ("below", "secret"),
        ("rows", "secret"),
        ("rows", "0", "row", "secret"),
        ("kept", "x"),
    ]

    assert [HIDING.root.resolve(path) for path in paths] == [None] * len(paths)


def test_replacement_keeps_read_only_and_write_only_members() -> None:
    schema = schema_with(
        name={"type": "string"},
        score=READ_ONLY,
        secret=SECRET,
        below={"type": "object", "properties": {"secret": SECRET, "name": {"type": "string"}}},
    )
    present = {
        "id": "1",
        "_version": 1,
        "name": "n",
        "score": 1,
        "secret": "s",
        "below": {"secret": "b", "name": "b"},
    }
    body = {"secret": "new", "below": {}}

    assert schema.keep_unwritable(body, present) == {"secret": "new", "score": 1, "below": {"secret": "b"}}
    assert GUARDED.keep_unwritable({"name": "new"}, PRESENT) == {
        "name": "new",
        "score": 1,
        "whole": {"x": 1},
        "below": {"score": 2},
        "counts": {"a": 1},
    }
    assert body == {"secret": "new", "below": {}}
    assert schema_with(name={}).keep_unwritable(body, present) is body


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (PRESENT, []),
        ({"name": "n"}, ["/below/score", "/counts/a", "/score", "/whole"]),
        (PRESENT | {"below": None}, ["/below/score"]),
        (PRESENT | {"below": {"name": "b"}}, ["/below/score"]),
        (PRESENT | {"rows": []}, []),
        (PRESENT | {"counts": {}}, ["/counts/a"]),
    ],
)
def test_read_only_member_cannot_be_removed(body: dict[str, Any], pointers: list[str]) -> None:
    violations = GUARDED.read_only_removals(body, PRESENT)

    assert sorted(str(violation.pointer) for violation in violations) == sorted(pointers)
    assert {violation.code for violation in violations} <= {"read_only"}
