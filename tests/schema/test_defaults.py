import copy
from typing import Any

import pytest

from service.schema import check
from service.schema import compile as compile_schema

ADDRESS = {"type": "object", "properties": {"country": {"default": "DE"}, "zip": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "document", "completed"),
    [
        ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"default": 1}}}, {"b": 2}, {"b": 2, "a": 1}),
        ({"properties": {"a": {"default": None}}}, {}, {"a": None}),
        ({"properties": {"a": ADDRESS}}, {}, {}),
        ({"properties": {"a": ADDRESS}}, {"a": {}}, {"a": {"country": "DE"}}),
        ({"properties": {"a": ADDRESS}}, {"a": {"country": "FR"}}, {"a": {"country": "FR"}}),
        ({"properties": {"a": ADDRESS}}, {"a": "text"}, {"a": "text"}),
        ({"properties": {"a": ADDRESS | {"default": {}}}}, {}, {"a": {}}),
        ({"properties": {"a": {"items": ADDRESS}}}, {"a": [{}, 1]}, {"a": [{"country": "DE"}, 1]}),
        ({"properties": {"a": {"$ref": "#/$defs/address"}}}, {"a": {}}, {"a": {"country": "DE"}}),
        ({"properties": {"a": {"$ref": "#/$defs/one", "default": 3}}}, {}, {"a": 3}),
        ({"properties": {"a": {"$ref": "#/$defs/one"}}}, {}, {"a": 1}),
        ({"allOf": [{"properties": {"a": {"default": 1}}}]}, {}, {"a": 1}),
        ({"anyOf": [{"properties": {"a": {"default": 1}}}, {}]}, {}, {}),
        ({"properties": {"a": {"$ref": "#", "default": {}}}}, {"a": {"a": {}}}, {"a": {"a": {"a": {}}}}),
    ],
)
def test_missing_members_get_defaults(
    schema: dict[str, Any], document: dict[str, Any], completed: dict[str, Any]
) -> None:
    source = {"type": "object", "$defs": {"address": ADDRESS, "one": {"default": 1}}, **schema}
    check(source)
    before = copy.deepcopy(document)

    assert compile_schema(source).with_defaults(document) == completed
    assert document == before


def test_complete_document_is_returned_unchanged() -> None:
    schema = compile_schema({"type": "object", "properties": {"a": {"default": 1}, "b": {"items": ADDRESS}}})
    document = {"a": 2, "b": [{"country": "FR"}]}

    assert schema.with_defaults(document) is document


def test_defaults_are_not_shared_between_documents() -> None:
    schema = compile_schema({"type": "object", "properties": {"tags": {"default": []}}})

    schema.with_defaults({})["tags"].append("x")

    assert schema.with_defaults({}) == {"tags": []}
