"""The fields of a collection that has a bit of everything, for the tests of the query language."""

import pytest

from service.kit.errors import ParameterInvalid
from service.query import parse_list
from service.query.fields import Field
from service.query.kinds import Kind

JSON = frozenset({Kind.NULL, Kind.BOOLEAN, Kind.INTEGER, Kind.NUMBER, Kind.STRING, Kind.OBJECT, Kind.ARRAY})


def of(*kinds: Kind, write_only: bool = False) -> Field:
    return Field(kinds=frozenset(kinds), write_only=write_only)


def an_object(**members: Field) -> Field:
    return Field(kinds=frozenset({Kind.OBJECT}), fields=members)


def an_array(items: Field) -> Field:
    return Field(kinds=frozenset({Kind.ARRAY}), items=items)


def anything() -> Field:
    """Return what a schema that says nothing compiles to: it contains itself."""
    field = Field(kinds=JSON)
    for name in ("others", "items"):
        object.__setattr__(field, name, field)
    return field


def without_hidden(field: Field) -> Field:
    """Return the same fields as if the hidden ones had never been declared."""
    if field is ANYTHING:
        return field
    items = field.items
    return Field(
        kinds=field.kinds,
        fields={name: without_hidden(part) for name, part in field.fields.items() if not part.write_only},
        items=None if items is None or items.write_only else without_hidden(items),
    )


ANYTHING = anything()
SECRET = of(Kind.STRING, write_only=True)
NUMBERS = an_array(of(Kind.NUMBER))
PLACE = an_object(type=of(Kind.STRING), coordinates=NUMBERS)

SHOP = an_object(
    id=of(Kind.OBJECT_ID),
    _version=of(Kind.INTEGER),
    _created_at=of(Kind.DATE_TIME),
    _owner=of(Kind.STRING, Kind.NULL),
    name=of(Kind.STRING),
    title=of(Kind.INTEGER, Kind.STRING),
    price=of(Kind.NUMBER),
    stock=of(Kind.INTEGER, Kind.NULL),
    category=of(Kind.STRING),
    on_sale=of(Kind.BOOLEAN),
    sold_on=of(Kind.DATE),
    batch=of(Kind.UUID),
    serial=of(Kind.INT64),
    cost=of(Kind.DECIMAL),
    code=of(Kind.STRING, Kind.UUID),
    tags=an_array(of(Kind.STRING)),
    scores=an_array(of(Kind.INTEGER)),
    matrix=an_array(an_array(of(Kind.NUMBER))),
    parts=an_array(an_object(name=of(Kind.STRING), count=of(Kind.INTEGER), secret=SECRET)),
    address=an_object(city=of(Kind.STRING), secret=SECRET),
    extra=ANYTHING,
    note=Field(
        kinds=frozenset({Kind.STRING, Kind.OBJECT}),
        fields={"secret": SECRET},
    ),
    place=PLACE,
    places=an_array(PLACE),
    shelter=an_object(type=of(Kind.STRING), coordinates=NUMBERS, secret=SECRET),
    secret=SECRET,
    vault=Field(
        kinds=frozenset({Kind.ARRAY}),
        items=Field(kinds=frozenset({Kind.OBJECT}), fields={"key": of(Kind.STRING)}, write_only=True),
    ),
    **{"or": of(Kind.INTEGER), "not": of(Kind.INTEGER)},
)


def refused(*parameters: tuple[str, str]) -> ParameterInvalid:
    with pytest.raises(ParameterInvalid) as caught:
        parse_list(parameters, SHOP)
    return caught.value
