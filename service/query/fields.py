"""The compiled description of what a document may hold: what queries, encoding and masks all read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from service.kit.violations import shown
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_PATH_NAMES
from service.query.parameters import Problems
from service.query.tree import Path


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
        """Yield the names of the declared members that a query may use."""
        for name, member in self.fields.items():
            if not member.write_only:
                yield name


@lru_cache(maxsize=256)
def hides(root: Field) -> bool:
    """Return whether a field, or anything below it, is write-only, or masked."""
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
    """Yield every place where MongoDB would look for a name: the member of an object, or of array elements.

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


def find_field(fields: Field, text: str) -> tuple[Path, Field] | None:
    """Find the field at a dotted path; None for one that is absent, hidden, or no field's name at all.

    A name that begins with `_` must be declared: it is Sheaf's own or nobody's.
    """
    path = tuple(text.split("."))
    if "" in path or len(path) > MAXIMUM_PATH_NAMES or "\0" in text:
        return None
    if text[0] == "_" and path[0] not in fields.fields:
        return None
    if "$" in text and any(name.startswith("$") for name in path):
        return None
    field = fields.resolve(path)
    return None if field is None else (path, field)


def report_unknown_field(
    problems: Problems, fields: Field, text: str, *, parameter: str, pointer: str | None = None
) -> None:
    """Note that there is no such field: the same for a hidden field as for one that is absent."""
    problems.add(
        f"there is no field `{shown(text)}`",
        "unknown_field",
        parameter=parameter,
        pointer=pointer,
        hint=problems.suggest(text, _visible_beside(fields, text)),
    )


def _visible_beside(fields: Field, text: str) -> Iterator[str]:
    """Yield the dotted paths of the visible fields beside an unknown one, at its first unknown name."""
    before, here = "", fields
    for name in text.split(".")[:MAXIMUM_PATH_NAMES]:
        found = find_field(here, name)
        if found is None:
            break
        before, here = f"{before}{name}.", found[1]
    for level in (here, here.items):
        if level is not None and not level.write_only:
            yield from (before + name for name in level.names())
