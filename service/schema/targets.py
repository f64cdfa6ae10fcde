"""`x-collection`: fields whose values are ids of a collection's documents, and where a schema says so."""

from collections.abc import Iterator

from service.kit.errors import DefinitionInvalid, Violation
from service.query.kinds import Kind
from service.schema.combinations import Place
from service.schema.pointers import escape
from service.schema.shapes import REFERENCE, Shapes
from service.schema.subschemas import Subschemas

ID_KINDS = frozenset({Kind.STRING, Kind.INTEGER, Kind.INT64, Kind.OBJECT_ID, Kind.UUID})
"""The kinds of value that can be an id."""


def faults(subschemas: Subschemas) -> Iterator[Violation]:
    """Give what is wrong with each `x-collection`: no name, or on a field that cannot hold an id.

    The schema's references must not run in circles. Whether a collection may have the name is not asked here.
    """
    shapes = Shapes(subschemas)
    for pointer, value in _stated(subschemas):
        if not isinstance(value, str):
            detail = "`x-collection` is the name of the collection that the ids are of"
            yield Violation(detail, "type", pointer + escape(REFERENCE))
        elif not (kinds := shapes.of(Place(pointer)).kinds) & ID_KINDS:
            detail = "`x-collection` stands on a field that can hold an id: a string or an integer"
            hint = "Write it within `items`: each element is an id." if Kind.ARRAY in kinds else None
            yield Violation(detail, "reference", pointer + escape(REFERENCE), hint=hint)


def names(subschemas: Subschemas) -> Iterator[tuple[str, str]]:
    """Give the pointer and the value of each `x-collection` of a checked schema."""
    for pointer, value in _stated(subschemas):
        yield pointer + escape(REFERENCE), str(value)


def only_one(place: Place, collections: frozenset[str]) -> str | None:
    """Give the collection that the values at a place are ids of, if any; DefinitionInvalid for several."""
    if len(collections) > 1:
        one, other = sorted(collections)[:2]
        detail = f"a field has ids of one collection, not of both `{one[:80]}` and `{other[:80]}`"
        raise DefinitionInvalid(detail, errors=[Violation(detail, "reference", _first(place))])
    return next(iter(collections), None)


def _stated(subschemas: Subschemas) -> Iterator[tuple[str, object]]:
    for pointer, schema in subschemas.schemas.items():
        if isinstance(schema, dict) and REFERENCE in schema:
            yield pointer, schema[REFERENCE]


def _first(place: Place) -> str:
    """Give the pointer of the first subschema that judges at a place."""
    while place.pointer is None and (parts := place.all_of or place.any_of):
        place = parts[0]
    return place.pointer or ""
