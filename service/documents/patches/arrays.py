"""Arrays of a field: values put at their end, or taken out; JSON and the formats say what is equal."""

from collections.abc import Hashable
from typing import Any

from service.documents.patches.places import fresh
from service.documents.patches.quantities import Unfit
from service.kit.errors import DocumentInvalid
from service.kit.json_values import equality_key
from service.query.fields import Field
from service.query.kinds import Kind
from service.schema import Schema
from service.schema.encoding import encode

EACH = "each"


def pushed(present: Any, said: Any, field: Field | None, _: Schema) -> list[Any]:
    """Put a value, or each of `{"each": […]}`, at the end of an array; raises Unfit."""
    return [*_array(present, field), *map(fresh, _each(said))]


def with_added(present: Any, said: Any, field: Field | None, schema: Schema) -> list[Any]:
    """Put those values at the end of an array that it does not have yet; raises Unfit."""
    array = list(_array(present, field))
    known = {_identity(each, field, schema) for each in array}
    for value in _each(said):
        identity = _identity(value, field, schema)
        if identity not in known:
            known.add(identity)
            array.append(fresh(value))
    return array


def without(present: Any, said: Any, field: Field | None, schema: Schema) -> Any:
    """Take every element out of an array that is equal to one of the values; raises Unfit.

    What a client cannot see of an element does not count, or the outcome would tell of it.
    """
    array = _array(present, field)
    unwanted = {_identity(value, field, schema, is_whole=True) for value in _each(said)}
    return present and [each for each in array if _identity(each, field, schema) not in unwanted]


def _array(present: Any, field: Field | None) -> list[Any]:
    """Give the present array, an empty one where nothing is."""
    if field is not None and Kind.ARRAY not in field.kinds:
        raise Unfit("the field does not hold an array", "type")
    if field is not None and field.items is not None and field.items.write_only:
        raise Unfit("the elements of the array are hidden; `set` it as a whole", "write_only")
    if present is not None and not isinstance(present, list):
        raise Unfit("the present value is not an array", "type")
    return present or []


def _each(said: Any) -> list[Any]:
    if not isinstance(said, dict) or said.keys() != {EACH}:
        return [said]
    values = said[EACH]
    if not isinstance(values, list):
        raise Unfit("`each` is an array of values", "type")
    return values


def _identity(value: Any, field: Field | None, schema: Schema, *, is_whole: bool = False) -> Hashable:
    """Give what is equal for equal elements of an array's field; `is_whole` keeps hidden members."""
    items = None if field is None else field.items
    if items is None:
        return equality_key(value)
    seen = value if is_whole else schema.visible_part(value, items)
    try:
        return equality_key(encode(seen, items))
    except DocumentInvalid:  # it was stored by another program, or the result is refused anyway
        return equality_key(seen)
