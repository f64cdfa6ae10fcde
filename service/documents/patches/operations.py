"""Operations (`application/vnd.sheaf.operations+json`): what to do to the values of single fields."""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, DecimalException, Inexact, InvalidOperation
from itertools import islice, pairwise
from typing import Any

from bson import Decimal128
from bson.decimal128 import create_decimal128_context

from service.documents import body as bodies
from service.documents.patches.places import Missing, child, field_below, fresh, index, is_hidden
from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    DocumentInvalid,
    Failure,
    PatchConflict,
    PatchInvalid,
    Violation,
    suggestion,
)
from service.kit.json_values import equality_key, escape_pointer, join_pointer
from service.kit.strict_json import MAXIMUM_DEPTH, depth
from service.query.fields import Field
from service.query.kinds import Kind, to_bson
from service.schema import Schema
from service.schema.encoding import encode, is_told_as_text
from service.schema.sentences import shown

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.INT64, Kind.DECIMAL})
_ANYTHING = Field(_NUMBERS - {Kind.INT64, Kind.DECIMAL})

Number = int | float | Decimal
Chosen = Callable[[Any, Any], Any]


class Unfit(ValueError):
    """A value that an operation cannot be done with; says why."""

    def __init__(self, detail: str, code: str) -> None:
        self.code = code
        super().__init__(detail)


def increased(present: Any, amount: Any, field: Field | None) -> Any:
    """Add an amount to a number, a decimal or an `int64`, exactly; what is absent or null counts as 0.

    Raises Unfit.
    """
    field = field or _ANYTHING
    if not field.kinds & _NUMBERS:
        raise Unfit("the field does not hold numbers", "type")
    addend = _number_of(amount, field)
    if addend is None:
        raise Unfit(f"{shown(amount)} is not a number", "type")
    summand = 0 if present is None else _number_of(present, field)
    if summand is None:
        raise Unfit("the present value is not a number", "type")
    if Kind.DECIMAL in field.kinds and not field.kinds & (_NUMBERS - {Kind.DECIMAL}):
        summand = _exact(summand)
    return _as_json(_sum(summand, addend), field, is_text=isinstance(present, str))


def bounded(present: Any, value: Any, field: Field | None, chosen: Chosen) -> Any:
    """Return the smaller or greater (`chosen`) of two values of one type; the new one when nothing is there.

    Raises Unfit for values without an order, or of two types.
    """
    kind, offered = _ordered(value, field)
    if present is None:
        return value
    present_kind, there = _ordered(present, field)
    if kind is not present_kind:
        raise Unfit("the present value is of another type", "type")
    return present if chosen(there, offered) == there else value


def _number_of(value: Any, field: Field) -> Number | None:
    """Read a JSON value as a number of the field, None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    for kind in (Kind.INT64, Kind.DECIMAL):
        if kind in field.kinds:
            try:
                stored = to_bson(kind, value)
            except ValueError:
                continue
            return stored.to_decimal() if isinstance(stored, Decimal128) else int(stored)
    return None


def _exact(number: Number) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _sum(one: Number, other: Number) -> Number:
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        context = create_decimal128_context()
        context.traps[Inexact] = context.traps[InvalidOperation] = True
        try:
            return context.add(_exact(one), _exact(other))
        except DecimalException:
            raise Unfit("the sum is not a decimal of at most 34 digits", "range") from None
    if isinstance(one, int) and isinstance(other, float) and other.is_integer():
        other = int(other)
    try:
        return one + other
    except OverflowError:
        raise Unfit("the sum is too large", "range") from None


def _as_json(number: Number, field: Field, *, is_text: bool) -> Any:
    if isinstance(number, Decimal):
        return str(number)
    if isinstance(number, float):
        if not math.isfinite(number):
            raise Unfit("the sum is too large", "range")
        return number
    is_text = is_text and Kind.INT64 in field.kinds
    return str(number) if is_text or is_told_as_text(number, field) else number


def _ordered(value: Any, field: Field | None) -> tuple[type, Any]:
    """Return the kind of order that a value has and what stands in it; the format of its field decides."""
    try:
        stored = value if field is None else encode(value, field)
    except DocumentInvalid as error:
        raise Unfit(error.errors[0].detail if error.errors else error.detail, "format") from None
    if isinstance(stored, Decimal128):
        return Decimal, stored.to_decimal()
    if isinstance(stored, int | float) and not isinstance(stored, bool):
        return Decimal, stored
    for kind in (datetime, str):
        if isinstance(stored, kind):
            return kind, stored
    raise Unfit(f"{shown(value)} has no order", "type")


EACH = "each"


def pushed(present: Any, said: Any, field: Field | None, _: Schema) -> list[Any]:
    """Put a value, or each of `{"each": […]}`, at the end of an array; raises Unfit."""
    return [*_array_of(present, field), *map(fresh, _each(said))]


def with_added(present: Any, said: Any, field: Field | None, schema: Schema) -> list[Any]:
    """Put those values at the end of an array that it does not have yet; raises Unfit."""
    array = list(_array_of(present, field))
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
    array = _array_of(present, field)
    unwanted = {_identity(value, field, schema, is_whole=True) for value in _each(said)}
    return present and [each for each in array if _identity(each, field, schema) not in unwanted]


def _array_of(present: Any, field: Field | None) -> list[Any]:
    """Return the present array, an empty one where nothing is."""
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
    """Return what is equal for equal elements of an array's field; `is_whole` keeps hidden members."""
    items = None if field is None else field.items
    if items is None:
        return equality_key(value)
    seen = value if is_whole else schema.visible_part(value, items)
    try:
        return equality_key(encode(seen, items))
    except DocumentInvalid:  # it was stored by another program, or the result is refused anyway
        return equality_key(seen)


MAXIMUM_OPERATIONS = 1000
MAXIMUM_PATH_CHARACTERS = 2000

Path = tuple[str, ...]
Change = Callable[[Any, Any, Field | None, Schema], Any]
"""From the present value (None when absent), what is said, the Field and its schema to the new value."""

CHANGES: dict[str, Change] = {
    "set": lambda _, value, *__: fresh(value),
    "inc": lambda present, amount, field, _: increased(present, amount, field),
    "min": lambda present, value, field, _: bounded(present, value, field, min),
    "max": lambda present, value, field, _: bounded(present, value, field, max),
    "push": pushed,
    "add_to_set": with_added,
    "pull": without,
}
NAMES = (*CHANGES, "unset")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on one field; `pointer` leads to it in the patch."""

    name: str
    path: Path
    pointer: str
    value: Any = None


def read(body: Any) -> "Operations":
    """Read `{"set": {path: value}, …, "unset": [path]}`; raises PatchInvalid, FieldNotWritable.

    Paths are dotted, through objects and positions of arrays; none may be another's or lead into another.
    """
    if not isinstance(body, dict):
        detail = f"Operations are an object with {', '.join(f'`{name}`' for name in NAMES)}"
        raise PatchInvalid(detail, errors=[Violation(detail, "type", pointer="")])
    unknown = islice((name[:80] for name in body if name not in NAMES), MAXIMUM_VIOLATIONS)
    violations = [
        Violation(
            f"`{name}` is not an operation", "unknown", escape_pointer(name), hint=suggestion(name, NAMES)
        )
        for name in unknown
    ]
    pairs = [pair for name in NAMES if name in body for pair in _pairs(name, body[name], violations)]
    if len(pairs) > MAXIMUM_OPERATIONS:
        raise PatchInvalid(f"A patch has {MAXIMUM_OPERATIONS} operations at the most")
    violations += [each for operation in pairs for each in _path_faults(operation)]
    if not violations:
        violations = list(_overlaps(pairs))
    if violations:
        raise PatchInvalid(f"{violations[0].pointer}: {violations[0].detail}", errors=violations)
    system = [each for each in pairs if each.path[0] in bodies.SYSTEM_NAMES]
    if system:
        raise bodies.refused(
            [
                Violation(f"`{each.path[0]}` is kept by the service", "system_field", each.pointer)
                for each in system
            ]
        )
    return Operations(pairs)


def _pairs(name: str, said: Any, violations: list[Violation]) -> list[Operation]:
    pointer = escape_pointer(name)
    if name == "unset":
        if isinstance(said, list) and all(isinstance(path, str) for path in said):
            return [
                Operation(name, tuple(path.split(".")), f"{pointer}/{position}")
                for position, path in enumerate(said)
            ]
        violations.append(Violation("`unset` is an array of paths", "type", pointer=pointer))
        return []
    if isinstance(said, dict):
        return [
            Operation(name, tuple(path.split(".")), pointer + escape_pointer(path), value)
            for path, value in said.items()
        ]
    violations.append(Violation(f"`{name}` is an object of paths and values", "type", pointer=pointer))
    return []


def _path_faults(operation: Operation) -> Iterator[Violation]:
    path = operation.path
    if not all(path) or len(path) > MAXIMUM_DEPTH or sum(map(len, path)) > MAXIMUM_PATH_CHARACTERS:
        detail = f"a path is names with dots between them, {MAXIMUM_DEPTH} at the most"
        yield Violation(detail, "path", pointer=operation.pointer[:200])
    elif len(path) + depth(operation.value) > MAXIMUM_DEPTH:
        detail = f"the document would be nested more than {MAXIMUM_DEPTH} levels deep"
        yield Violation(detail, "too_deep", pointer=operation.pointer)
    elif path[0] not in bodies.SYSTEM_NAMES and any(name[0] in "_$" for name in path):
        yield Violation("a field's name does not begin with `_` or `$`", "name", pointer=operation.pointer)


def _overlaps(operations: list[Operation]) -> Iterator[Violation]:
    """Find operations on one field, or on a field and one within it: which comes first would matter."""
    ordered = sorted(operations, key=lambda operation: operation.path)
    for one, other in pairwise(ordered):
        if other.path[: len(one.path)] == one.path:
            detail = f"`{'.'.join(one.path)[:80]}` is changed by another operation too"
            yield Violation(detail, "overlap", pointer=other.pointer)


class Operations:
    """Operations on documents."""

    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations

    def __call__(self, document: dict[str, Any], schema: Schema, _: int = 0) -> dict[str, Any]:
        """Return a document of a schema as all operations make it; raises PatchInvalid, PatchConflict.

        Raises DocumentInvalid for a hidden field, as for one that the schema does not have: whether it can be
        done would tell of the value.
        """
        changed: dict[str, Any] = fresh(document)
        for operation in self._operations:
            try:
                _apply(changed, schema, operation)
            except Unfit as problem:
                violation = Violation(str(problem), problem.code, operation.pointer)
                detail = f"{operation.pointer}: {problem}"
                raise PatchInvalid(detail, errors=[violation]) from None
            except Missing:
                violation = Violation("the document has no such place", "missing", pointer=operation.pointer)
                detail = f"{operation.pointer}: there is no such position in the array"
                raise PatchConflict(detail, errors=[violation]) from None
        return changed


def _apply(document: dict[str, Any], schema: Schema, operation: Operation) -> None:
    container, field = _container(document, schema.root, operation)
    step = operation.path[-1]
    below = field_below(field, container, step)
    if operation.name == "unset":
        _unset(container, step)
        return
    is_blind = operation.name == "set" and isinstance(container, dict)
    if is_hidden(below) and not is_blind:
        raise _unknown(operation.path, field)
    if isinstance(container, list):
        at = index(container, step)
        container[at] = CHANGES[operation.name](container[at], operation.value, below, schema)
        return
    if step in container or operation.name != "pull":
        container[step] = CHANGES[operation.name](container.get(step), operation.value, below, schema)


def _container(
    document: dict[str, Any], root: Field, operation: Operation
) -> tuple[dict[str, Any] | list[Any], Field | None]:
    """Return the object or array that a path ends in, made where it is missing, and its Field."""
    container: Any = document
    field: Field | None = root
    for position, step in enumerate(operation.path[:-1]):
        below = field_below(field, container, step)
        if is_hidden(below):
            raise _unknown(operation.path[: position + 1], field)
        if isinstance(container, dict) and step not in container:
            made: dict[str, Any] = {}
            if operation.name not in {"unset", "pull"}:  # which put nothing anywhere
                container[step] = made
            container, field = made, below
            continue
        container, field = child(container, step), below
        if not isinstance(container, dict | list):
            there = ".".join(operation.path[: position + 1])
            raise Unfit(f"`{there[:80]}` is not an object or an array", "type")
    return container, field


def _unset(container: Any, step: str) -> None:
    """Remove a member, which need not be there, so that hidden ones are removed like all others."""
    if isinstance(container, list):
        raise Unfit(f"`{step[:80]}` would leave a hole in an array; use `pull`", "type")
    container.pop(step, None)


def _unknown(path: Path, field: Field | None) -> Failure:
    """Return the failure for a hidden field: what the validator says of one that the schema does not have."""
    detail = f"`{path[-1][:80]}` is not a field of the schema"
    hint = suggestion(path[-1][:80], () if field is None else tuple(field.names()))
    return bodies.invalid([Violation(detail, "additional_properties", join_pointer(path), hint=hint)])
