"""A document with placeholders for what is not seen of it: nothing is lost, and nothing is seen."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from service import schema as schemas
from service.documents.redaction import Redacted
from service.kit.errors import PatchConflict
from service.query import Selection, masks
from service.query.masks import Mask

FREE = schemas.compile({"type": "object"})
DECLARED = schemas.compile(
    {
        "type": "object",
        "properties": {
            "a": {"type": "object", "properties": {"b": {}, "c": {"type": "string", "writeOnly": True}}},
            "b": {"type": "array", "items": {"type": "object", "properties": {"a": {}, "b": {}}}},
            "c": {"writeOnly": True},
        },
    }
)

NAMES = some.sampled_from("abc")
VALUES: Any = some.recursive(
    some.none() | some.booleans() | some.integers(-9, 9) | some.text("xyz", max_size=3),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = some.dictionaries(NAMES, VALUES, max_size=3)
PATHS = some.lists(some.lists(NAMES, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3)
SELECTIONS = some.builds(lambda paths, out: Selection(tuple(paths), is_exclusion=out), PATHS, some.booleans())


def mask_of(*paths: str) -> Mask:
    """Return the mask that shows all but these."""
    selection = Selection(tuple(tuple(path.split(".")) for path in paths), is_exclusion=True)
    return masks.of_selections(frozenset({selection}))


@given(DOCUMENTS, SELECTIONS)
@settings(max_examples=60)
def test_unchanged_redacted_document_is_restored_exactly(
    document: dict[str, Any], selection: Selection
) -> None:
    mask = masks.of_selections(frozenset({selection}))
    for schema in (FREE, DECLARED):
        redacted = Redacted(document, schema, mask)
        assert redacted.restored(redacted.carried(redacted.document)) == document
        assert redacted.restored(json.loads(json.dumps(redacted.document))) == document


@given(DOCUMENTS, SELECTIONS)
@settings(max_examples=60)
def test_size_counts_only_visible_fields(document: dict[str, Any], selection: Selection) -> None:
    mask = masks.of_selections(frozenset({selection}))
    redacted = Redacted(document, FREE, mask)
    seen = json.dumps(masks.shown(document, mask), separators=(",", ":"), ensure_ascii=False)
    assert redacted.size_bytes(redacted.document) == len(seen.encode())


@given(DOCUMENTS, DOCUMENTS, SELECTIONS)
@settings(max_examples=60)
def test_replacement_document_is_stored_unchanged(
    document: dict[str, Any], said: dict[str, Any], selection: Selection
) -> None:
    """A whole document in the place of one is not altered."""
    redacted = Redacted(document, FREE, masks.of_selections(frozenset({selection})))
    assert redacted.restored(said) == said


def test_placeholders_are_others_each_time() -> None:
    document = {"a": {"b": 1}, "b": [{"a": 1}], "c": 3}
    one, other = (Redacted(document, DECLARED, mask_of("a.b", "b.a")).document for _ in range(2))
    assert one["a"]["b"] != other["a"]["b"]
    assert "1" not in {one["a"]["b"], one["b"][0]["a"]}


def test_missing_hidden_fields_have_placeholders_too() -> None:
    with_it = Redacted({"a": {"b": 1, "c": "x"}, "c": 2}, DECLARED, mask_of("a.b"))
    without = Redacted({"a": {}}, DECLARED, mask_of("a.b"))
    for redacted in (with_it, without):
        assert sorted(redacted.document) == ["a", "c"]
        assert sorted(redacted.document["a"]) == ["b", "c"]
    assert without.restored(without.document) == {"a": {}}


def test_placeholder_moved_to_visible_field_is_refused() -> None:
    redacted = Redacted({"a": {"b": 1}, "x": 0}, FREE, mask_of("a.b"))
    with pytest.raises(PatchConflict):
        redacted.restored({"x": redacted.document["a"]["b"]})
