"""What becomes of a schema in each view; the contract refuses nothing that the service accepts."""

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from service import schema as schemas
from service.collections.registry import Collection
from service.documents import encoding, patches
from service.http.contract import formats, views
from service.http.contract.rewriting import Rewriter
from service.http.contract.views import View
from service.query.kinds import Kind
from service.schema import Schema
from service.schema.subschemas import collect
from tests.openapi.definitions import KINDS, KINDS_DOCUMENT, LOOSE, SHAPES, TREE

SYSTEM: dict[str, Any] = {"id": True, "_version": True}


def written(schema: dict[str, Any], view: View) -> Any:
    """Return the schemas of a view of a schema, of which `X` and the view's name is the first."""
    rewriter = Rewriter("X", collect(schema, 10_000))
    rewriter.write(view, SYSTEM if view is not views.CREATE else {})
    return rewriter.schemas


@pytest.mark.parametrize(
    ("schema", "view", "expected"),
    [
        ({"properties": {"a": {"writeOnly": True}}, "required": ["a"]}, views.DOCUMENT, {}),
        ({"properties": {"a": {"readOnly": True}}, "required": ["a"]}, views.CREATE, {}),
        (
            {"properties": {"a": {"default": 1}}, "required": ["a"]},
            views.CREATE,
            {"properties": {"a": {"default": 1}}},
        ),
        (
            {"properties": {"a": {"default": 1}}, "required": ["a"]},
            views.REPLACE,
            {"required": ["a"], "properties": {"a": {}}},
        ),
        (
            {"properties": {"a": {"type": "string", "format": "int64"}}},
            views.DOCUMENT,
            {
                "properties": {
                    "a": {
                        "type": "string",
                        "format": "int64",
                        "pattern": formats.PATTERNS[Kind.INT64],
                    }
                }
            },
        ),
        (
            {"properties": {"a": {"enum": ["5", "x"], "format": "int64"}}},
            views.DOCUMENT,
            {
                "properties": {
                    "a": {"enum": ["5", "x"], "format": "int64", "pattern": formats.PATTERNS[Kind.INT64]}
                }
            },
        ),
        (
            {"properties": {"a": {"type": "string", "format": "decimal", "pattern": "^1"}}},
            views.CREATE,
            {
                "properties": {
                    "a": {
                        "type": "string",
                        "format": "decimal",
                        "pattern": "^1",
                        "allOf": [{"pattern": formats.PATTERNS[Kind.DECIMAL]}],
                    }
                }
            },
        ),
        (
            {"properties": {"a": {"items": {"writeOnly": True}, "minItems": 1}}},
            views.DOCUMENT,
            {"properties": {"a": {"maxItems": 0}}},
        ),
        (
            {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {"writeOnly": True}}},
            views.DOCUMENT,
            {"anyOf": [{}, {"required": ["b"]}]},
        ),
        (
            {"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
            views.PATCH,
            {"properties": {"a": {"type": ["integer", "null"]}}},
        ),
        (
            {"additionalProperties": False, "maxProperties": 2, "propertyNames": {"maxLength": 2}},
            views.REPLACE,
            {"additionalProperties": False},
        ),
        ({"patternProperties": {".": {"type": "null"}}, "additionalProperties": False}, views.DOCUMENT, {}),
    ],
)
def test_view_rewrites_the_schema(schema: dict[str, Any], view: View, expected: dict[str, Any]) -> None:
    root = written({"type": "object", **schema}, view)["X" + view.name]
    system = {} if view is views.CREATE else SYSTEM
    members = expected.pop("properties", {})
    assert root == {"type": "object", **expected, "properties": {**system, **members}}


def test_references_resolve_to_schemas_of_the_same_view() -> None:
    found = written(TREE, views.PATCH) | written(TREE, views.CREATE)
    node = (
        found["XPatch.node"]["properties"]
        if "XPatch.node" in found
        else found["XPatch"]["allOf"][0]["properties"]
    )
    assert node["children"]["items"] == {"$ref": "#/components/schemas/XReplace.node"}
    assert found["XCreate.node"]["properties"]["children"]["items"]["$ref"].endswith("XCreate.node")
    assert "pin" not in written(TREE, views.DOCUMENT)["XDocument.node"]["properties"]


def test_read_view_has_no_write_only_member() -> None:
    for schema in (KINDS, TREE, LOOSE):
        for view in (views.DOCUMENT, views.PART):
            text = str(written(schema, view))
            assert "writeOnly" not in text
            assert not any(f"'{name}':" in text for name in ("secret", "pin", "hidden"))


BASES: dict[str, dict[str, Any]] = {
    "kinds": {**KINDS_DOCUMENT, "secret": "s"},
    "tree": {"value": 1, "pin": "p", "children": [{"value": 2, "pin": "q", "children": []}]},
    "shapes": {
        "kind": "circle",
        "radius": 1.5,
        "name": "one",
        "again": "two",
        "author": "0123456789abcdef01234567",
        "inner": {"by": "0123456789abcdef01234567"},
        "and": "x",
        "nothing": None,
        "coded": "Ab",
        "pair": [1, "a"],
        "x-y": "z",
    },
    "loose": {"a": "x", "hidden": "h", "open": "o"},
    "free": {"anything": [1, {"b": None}]},
}
PLAIN = st.none() | st.booleans() | st.integers(-5, 20) | st.sampled_from(["a", "small", "circle", "5"])
VALUES = st.recursive(
    PLAIN | st.sampled_from([part for base in BASES.values() for part in base.values()]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "value"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def changed(form: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents of a form with a member more or less, or another in its place."""
    base = BASES[form]
    names = st.sampled_from([*base, "extra"])
    return st.builds(
        lambda left_out, put: {name: part for name, part in base.items() if name not in left_out} | put,
        st.sets(names, max_size=3),
        st.dictionaries(names, VALUES, max_size=1),
    )


def patched(form: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return merge patches of a form, with nulls and parts of what is there."""
    names = st.sampled_from([*BASES[form], "extra"])
    return st.dictionaries(names, st.none() | VALUES, max_size=2)


FORMS = {"kinds": KINDS, "tree": TREE, "shapes": SHAPES, "loose": LOOSE, "free": {"type": "object"}}


@cache
def compiled(form: str) -> Schema:
    return schemas.compile(FORMS[form])


@cache
def judge(form: str, view: View) -> Draft202012Validator:
    found = written(FORMS[form], view)
    others = written(FORMS[form], views.REPLACE) if view is views.PATCH else {}
    whole = {"components": {"schemas": others | found}, "$ref": f"#/components/schemas/X{view.name}"}
    return Draft202012Validator(whole)


def shown(schema: Schema, document: dict[str, Any]) -> Any:
    collection = cast("Collection", SimpleNamespace(description=SimpleNamespace(schema=schema)))
    stored = {"_id": 1, **schema.encode(document), "_version": 1}
    return orjson.loads(encoding.dump(encoding.view(collection, stored)))


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_accepted_and_answered_documents_match_the_contract(form: str, data: st.DataObject) -> None:
    document, patch = data.draw(changed(form)), data.draw(patched(form))
    schema = compiled(form)
    complete = schema.with_defaults(document)
    if schema.violations(complete):
        return
    if not schema.read_only_violations(document, None):
        assert faults(form, views.CREATE, document) == []
    assert faults(form, views.REPLACE, complete) == []
    read = shown(schema, complete)
    assert faults(form, views.DOCUMENT, read) == []
    part = {name: value for name, value in read.items() if name not in patch}
    assert faults(form, views.PART, {"id": 1, **part}) == []
    if not schema.violations(patches.merge(complete, patch)):
        assert faults(form, views.PATCH, patch) == []


def faults(form: str, view: View, value: Any) -> list[str]:
    return [each.message for each in judge(form, view).iter_errors(value)]
