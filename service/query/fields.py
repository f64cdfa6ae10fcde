"""The compiled description of what a document may hold: what queries, encoding and masks all read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service.query.kinds import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One place in a document, compiled from its JSON Schema once per definition version.

    `kinds` is what the value may be, the JSON kinds when the schema does not say. `fields` are the declared
    members of an object, `others` what an undeclared member is (None: there are none), `items` what an array
    holds. `read_only` and `write_only` are the schema's annotations of the same names, `has_formats` tells
    whether anything at or below must be turned into another BSON type. `collection` is the one whose
    ids the values are, for a reference. `is_text` tells of an `int64` that JSON has as text, however small.
    """

    kinds: frozenset[Kind] = frozenset()
    fields: Mapping[str, "Field"] = field(default_factory=dict)
    others: "Field | None" = None
    items: "Field | None" = None
    read_only: bool = False
    write_only: bool = False
    has_formats: bool = False
    collection: str | None = None
    is_text: bool = False

    def resolve(self, path: tuple[str, ...]) -> "Field | None":
        """Find the field at a dotted path, through arrays as MongoDB does; None when unknown or write-only.

        A number in the path is an array's position or an object's member of that name.
        """
        here: Field | None = self
        for name in path:
            here = _step(here, name) if here is not None else None
            if here is None or here.write_only:
                return None
        return here

    def names(self) -> Iterator[str]:
        """Give the names of the declared members that a query may use."""
        for name, member in self.fields.items():
            if not member.write_only:
                yield name


def _step(here: Field, name: str) -> Field | None:
    """Take one step; where MongoDB would look in several places, a hidden one hides them all."""
    own = here.fields.get(name, here.others)
    if here.items is None:
        return own
    member = here.items.fields.get(name, here.items.others)  # of the array's elements, one level as MongoDB
    inside = here.items if name.isdecimal() and name.isascii() else member
    for place in (here.items, own, member):
        if place is not None and place.write_only:
            return place
    return own or inside
