"""Operations (`application/vnd.sheaf.operations+json`): what to do to the values of single fields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from service.documents import body as bodies
from service.documents.patches import arrays, quantities
from service.documents.patches.places import Missing, child, field_below, fresh, index, is_hidden
from service.documents.patches.quantities import Unfit
from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    Failure,
    PatchConflict,
    PatchInvalid,
    Violation,
    suggestion,
)
from service.kit.pointers import escape, join
from service.kit.strict_json import MAXIMUM_DEPTH, depth
from service.query.fields import Field
from service.schema import Schema

MAXIMUM_OPERATIONS = 1000
MAXIMUM_PATH_CHARACTERS = 2000

Path = tuple[str, ...]
Change = Callable[[Any, Any, Field | None, Schema], Any]
"""From the present value (None when absent), what is said, the Field and its schema to the new value."""

CHANGES: dict[str, Change] = {
    "set": lambda _, value, *__: fresh(value),
    "inc": lambda present, amount, field, _: quantities.increased(present, amount, field),
    "min": lambda present, value, field, _: quantities.bounded(present, value, field, min),
    "max": lambda present, value, field, _: quantities.bounded(present, value, field, max),
    "push": arrays.pushed,
    "add_to_set": arrays.with_added,
    "pull": arrays.without,
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
        Violation(f"`{name}` is not an operation", "unknown", escape(name), hint=suggestion(name, NAMES))
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
    pointer = escape(name)
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
            Operation(name, tuple(path.split(".")), pointer + escape(path), value)
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
        """Give a document of a schema as all operations make it; raises PatchInvalid, PatchConflict.

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
    """Give the object or array that a path ends in, made where it is missing, and its Field."""
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
    """Give the failure for a hidden field: what the validator says of one that the schema does not have."""
    detail = f"`{path[-1][:80]}` is not a field of the schema"
    hint = suggestion(path[-1][:80], () if field is None else tuple(field.names()))
    return bodies.invalid([Violation(detail, "additional_properties", join(path), hint=hint)])
