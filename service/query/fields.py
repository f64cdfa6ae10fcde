"""The compiled description of what a document may hold: what queries, encoding and masks all read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from service.query.kinds import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One place in a document, compiled from its JSON Schema once per definition version.

    `kinds` is what the value may be, the JSON kinds when the schema does not say. `fields` are the declared
    members of an object, `others` what an undeclared member is (None: there are none), `items` what an array
    holds. `read_only` and `write_only` are the schema's annotations of the same names, `has_formats` tells
    whether anything at or below must be turned into another BSON type. `collection` is the one whose
    ids the values are, for a reference. `is_text` tells of an `int64` that JSON has as text, however small.
    `is_partial` tells of a value of which a mask shows a part only: one may go through it, and ask nothing of
    it as a whole.
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
    is_partial: bool = False

    def resolve(self, path: tuple[str, ...]) -> "Field | None":
        """Find the field at a dotted path, through arrays as MongoDB does; None when unknown or write-only.

        A number in the path is an array's position or an object's member of that name. Where MongoDB would
        look in several places, the first is given, and one with something hidden hides them all.
        """
        places: tuple[Field, ...] = (self,)
        for name in path:
            places = tuple(dict.fromkeys(place for here in places for place in _step(here, name)))
            if any(place.write_only for place in places):
                return None
        if len(places) > 1 and any(map(hides, places)):
            return None
        return places[0] if places else None

    def names(self) -> Iterator[str]:
        """Give the names of the declared members that a query may use."""
        for name, member in self.fields.items():
            if not member.write_only:
                yield name


@lru_cache(maxsize=256)
def hides(root: Field) -> bool:
    """Tell whether a field, or anything below it, is write-only, or masked."""
    seen: set[Field] = set()
    waiting: list[Field | None] = [root]
    while waiting:
        here = waiting.pop()
        if here is not None and here not in seen:
            if here.write_only or here.is_partial:
                return True
            seen.add(here)
            waiting += (here.items, here.others, *here.fields.values())
    return False


def _step(here: Field, name: str) -> Iterator[Field]:
    """Give every place where MongoDB would look for a name: the member of an object, or of array elements.

    Of arrays one level, as MongoDB does it; a write-only element is a place too, whatever is asked for.
    """
    own = here.fields.get(name, here.others)
    if own is not None:
        yield own
    items = here.items
    if items is not None:
        if items.write_only or (name.isdecimal() and name.isascii()):
            yield items
        member = items.fields.get(name, items.others)
        if member is not None:
            yield member
