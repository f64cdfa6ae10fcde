"""The tree of Fields that a schema compiles to, and which of them lead to what must be treated specially."""

from collections.abc import Callable, Iterable, Iterator

from service.kit.errors import DefinitionInvalid, Violation
from service.kit.json_values import escape_pointer
from service.query.fields import Field
from service.query.kinds import Kind
from service.schema.shapes import FORMAT_KINDS, REFERENCE, Shapes
from service.schema.subschemas import FREE, Combination, Subschemas

ID_KINDS = frozenset({Kind.STRING, Kind.INTEGER, Kind.INT64, Kind.OBJECT_ID, Kind.UUID})
"""The kinds of value that can be an id."""


def target_faults(subschemas: Subschemas) -> Iterator[Violation]:
    """Yield what is wrong with each `x-collection`: no name, or on a field that cannot hold an id.

    The schema's references must not run in circles. Whether a collection may have the name is not asked here.
    """
    shapes = Shapes(subschemas)
    for pointer, value in _stated_target(subschemas):
        if not isinstance(value, str):
            detail = "`x-collection` is the name of the collection that the ids are of"
            yield Violation(detail, "type", pointer + escape_pointer(REFERENCE))
        elif not (kinds := shapes.of(Combination(pointer)).kinds) & ID_KINDS:
            detail = "`x-collection` stands on a field that can hold an id: a string or an integer"
            hint = "Write it within `items`: each element is an id." if Kind.ARRAY in kinds else None
            yield Violation(detail, "reference", pointer + escape_pointer(REFERENCE), hint=hint)


def reference_targets(subschemas: Subschemas) -> Iterator[tuple[str, str]]:
    """Yield the pointer and the value of each `x-collection` of a checked schema."""
    for pointer, value in _stated_target(subschemas):
        yield pointer + escape_pointer(REFERENCE), str(value)


def only_one(place: Combination, collections: frozenset[str]) -> str | None:
    """Return the collection that the values at a place are ids of, if any; DefinitionInvalid for several."""
    if len(collections) > 1:
        one, other = sorted(collections)[:2]
        detail = f"a field has ids of one collection, not of both `{one[:80]}` and `{other[:80]}`"
        raise DefinitionInvalid(detail, errors=[Violation(detail, "reference", _first(place))])
    return next(iter(collections), None)


def _stated_target(subschemas: Subschemas) -> Iterator[tuple[str, object]]:
    for pointer, schema in subschemas.schemas.items():
        if isinstance(schema, dict) and REFERENCE in schema:
            yield pointer, schema[REFERENCE]


def _first(place: Combination) -> str:
    """Return the pointer of the first subschema that judges at a place."""
    while place.pointer is None and (parts := place.all_of or place.any_of):
        place = parts[0]
    return place.pointer or ""


def build_tree(subschemas: Subschemas) -> Field:
    """Build the Field of the whole document; a recursive schema gives a cyclic tree.

    Raises DefinitionInvalid when the schema's alternatives multiply beyond the limit.
    """
    builder = _Builder(subschemas)
    root = builder.field(Combination(""))
    builder.finish()
    return root


class _Builder:
    def __init__(self, subschemas: Subschemas) -> None:
        self._shapes = Shapes(subschemas)
        self._fields: dict[Combination, Field] = {}
        self._waiting: list[Combination] = []

    def field(self, place: Combination) -> Field:
        """Return the Field of a place, which `finish` fills in."""
        if place not in self._fields:
            shape = self._shapes.of(place)
            self._fields[place] = Field(
                kinds=shape.kinds,
                fields={},
                read_only=shape.read_only,
                write_only=shape.write_only,
                collection=only_one(place, shape.collections),
                is_text=shape.is_text,
            )
            self._waiting.append(place)
        return self._fields[place]

    def finish(self) -> None:
        """Fill in what is below each Field, and whether formats are."""
        while self._waiting:
            self._fill(self._waiting.pop())
        for field in leading_to(self._fields.values(), lambda field: bool(field.kinds & FORMAT_KINDS)):
            _set(field, "has_formats", value=True)

    def _fill(self, place: Combination) -> None:
        field, shape = self._fields[place], self._shapes.of(place)
        if shape.takes(Kind.OBJECT):
            for name, part in shape.members.items():
                if self._shapes.of(part).kinds:  # a member that may have no value is none
                    field.fields[name] = self.field(part)  # type: ignore[index]  # a dict until all are joined
            if shape.rest is not None:
                _set(field, "others", self.field(shape.rest))
            elif not shape.members and not shape.is_closed:
                _set(field, "others", self.field(FREE))
        if shape.takes(Kind.ARRAY):
            _set(field, "items", self.field(shape.items or FREE))


def _set(field: Field, name: str, value: Field | bool) -> None:
    # Fields are frozen for everybody else; one that contains itself can only be closed after it exists.
    object.__setattr__(field, name, value)


def parts(field: Field) -> Iterator[Field]:
    """Yield the Fields directly below one."""
    yield from field.fields.values()
    if field.others is not None:
        yield field.others
    if field.items is not None:
        yield field.items


def reachable(root: Field) -> list[Field]:
    """Return a Field and all below it, each once."""
    found: dict[Field, None] = {}
    waiting = [root]
    while waiting:
        if (field := waiting.pop()) not in found:
            found[field] = None
            waiting.extend(parts(field))
    return list(found)


def leading_to(fields: Iterable[Field], claim: Callable[[Field], bool]) -> frozenset[Field]:
    """Return those of all these Fields that meet a claim or have one below that does."""
    above: dict[Field, list[Field]] = {}
    found: set[Field] = set()
    waiting: list[Field] = []
    for field in fields:
        for part in parts(field):
            above.setdefault(part, []).append(field)
        if claim(field):
            waiting.append(field)
    while waiting:
        if (field := waiting.pop()) not in found:
            found.add(field)
            waiting.extend(above.get(field, ()))
    return frozenset(found)
