"""Places where subschemas judge values, alone, all together, or as alternatives."""

from collections.abc import Collection
from dataclasses import dataclass, field

from service.kit.errors import DefinitionInvalid, Violation

MAXIMUM_PLACE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where values are judged: by one subschema (`pointer`), or by all or any of other places together."""

    pointer: str | None = None
    all_of: tuple["Place", ...] = ()
    any_of: tuple["Place", ...] = ()
    size: int = field(default=1, compare=False)


FREE = Place()
"""A place that no subschema judges."""

UNSAID = Place(pointer="?")
"""What an alternative leaves open: never narrower than its neighbours say, and without formats."""


def both(*places: Place) -> Place:
    """Give the place that all of these judge."""
    parts = (part for place in places for part in (place.all_of or (place,)) if part != FREE)
    known = dict.fromkeys(parts)
    # Alternatives that include what is said anyway cannot narrow it: so recursion comes to an end.
    flat = tuple(part for part in known if not any(_is_said(each, known) for each in part.any_of))
    return Place(all_of=flat, size=_size(flat)) if len(flat) > 1 else next(iter(flat), FREE)


def _is_said(place: Place, known: Collection[Place]) -> bool:
    return place in known or (bool(place.all_of) and all(part in known for part in place.all_of))


def either(*places: Place) -> Place:
    """Give the place that one of these judges, not known which."""
    flat = tuple(dict.fromkeys(part for place in places for part in (place.any_of or (place,))))
    return Place(any_of=flat, size=_size(flat)) if len(flat) > 1 else flat[0]


def _size(places: tuple[Place, ...]) -> int:
    size = 1 + sum(place.size for place in places)
    if size > MAXIMUM_PLACE_SIZE:
        raise too_complex()
    return size


def too_complex() -> DefinitionInvalid:
    """Make the failure of a schema whose places multiply."""
    detail = "the schema's alternatives multiply to more places than Sheaf follows: simplify"
    return DefinitionInvalid(detail, errors=[Violation(detail, "too_complex", "")])
