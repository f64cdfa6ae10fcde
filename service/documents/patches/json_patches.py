"""JSON Patch (RFC 6902): operations one after the other, all or none."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from service.documents.body import SYSTEM_NAMES
from service.documents.patches.places import (
    Missing,
    child,
    field_below,
    fresh,
    index,
    is_hidden,
)
from service.kit.errors import (
    BodyTooLarge,
    Failure,
    PatchConflict,
    PatchInvalid,
    PatchTestFailed,
    Violation,
    suggestion,
)
from service.kit.json_values import are_equal, join_pointer, split_pointer
from service.kit.strict_json import MAXIMUM_DEPTH, depth
from service.query.fields import Field
from service.schema import Schema


def read_merge_patch(body: Any) -> "MergePatch":
    """Read a merge patch for a document; raises PatchInvalid for one that is not an object."""
    if not isinstance(body, dict):
        detail = "A merge patch for a document is an object"
        raise PatchInvalid(detail, errors=[Violation(detail, "type", pointer="")])
    return MergePatch(body)


class MergePatch:
    """A merge patch of documents."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        # A null for a system field is a value to refuse, not a wish to remove it.
        self._system = {name: value for name, value in body.items() if name in SYSTEM_NAMES}

    def __call__(self, document: dict[str, Any], *_: Any) -> dict[str, Any]:
        """Return the document as the patch makes it."""
        return {**merge(document, self._body), **self._system}


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch to any JSON value and give the result; `target` is left as it was.

    >>> merge({"a": "b", "c": {"d": 1, "e": 2}}, {"a": "z", "c": {"e": None}})
    {'a': 'z', 'c': {'d': 1}}
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


MAXIMUM_HANDLED = 2
"""How many times the largest document a patch may copy, move and replace as a whole in all."""

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, read: its position in the patch, its name, where, from where, and with which value."""

    position: int
    name: str
    path: Steps
    source: Steps = ()
    value: Any = None


class Application:
    """A patch that is being applied, to a copy of its own.

    Whatever reads (`test`, and the sources of `copy` and `move`) finds write-only members as little as
    a client does; they can be written as a whole, which succeeds whether or not there was one.
    """

    def __init__(self, document: dict[str, Any], schema: Schema, limit_bytes: int) -> None:
        self._schema = schema
        self._limit_bytes = MAXIMUM_HANDLED * limit_bytes
        self._handled_bytes = 0
        self._before = document
        self._document: Any = fresh(document)
        self._applied: dict[str, Callable[[Operation], None]] = {
            "add": self._add,
            "remove": lambda operation: self._remove(operation.path),
            "replace": self._replace,
            "move": self._move,
            "copy": self._copy,
            "test": self._test,
        }

    def apply(self, operation: Operation) -> None:
        """Apply one operation."""
        try:
            self._applied[operation.name](operation)
        except _Absent as absent:
            pointer = f"/{operation.position}/{absent.member}"
            detail = f"{pointer}: there is nothing at `{join_pointer(absent.steps)[:200]}`"
            violation = Violation("the document has no such place", "missing", pointer=pointer)
            failure: type[Failure] = PatchTestFailed if operation.name == "test" else PatchConflict
            raise failure(detail, errors=[violation]) from None

    def result(self) -> Any:
        """Return the body that the patch leads to; a system field that it removed is there, to be refused."""
        if not isinstance(self._document, dict):
            return self._document
        removed = {name: None for name in self._before if name in SYSTEM_NAMES}
        return {**removed, **self._document}

    def _add(self, operation: Operation) -> None:
        self._put(operation, fresh(operation.value))

    def _replace(self, operation: Operation) -> None:
        if operation.path:
            container, step, field = self._parent(operation.path)
            if isinstance(container, list):
                self._bound_depth(operation, operation.value)
                container[self._at(container, step, operation.path)] = fresh(operation.value)
                return
            if step not in container and not is_hidden(field):
                raise _Absent("path", operation.path)
        self._put(operation, fresh(operation.value))

    def _move(self, operation: Operation) -> None:
        value, field = self._find(operation.source, "from")
        if operation.source == operation.path:
            return
        self._handle(operation, value)
        self._remove(operation.source)
        self._put(operation, value, field)

    def _copy(self, operation: Operation) -> None:
        value, field = self._find(operation.source, "from")
        self._handle(operation, value)
        self._put(operation, fresh(value), field)

    def _test(self, operation: Operation) -> None:
        value, field = self._find(operation.path, "path")
        if self._schema.hides_below(field):
            self._handle(operation, value)
            value = self._schema.visible_part(value, field)
        if not are_equal(operation.value, value):
            pointer = f"/{operation.position}/value"
            violation = Violation("the document has another value", "test", pointer=pointer)
            place = join_pointer(operation.path)[:200]
            raise PatchTestFailed(f"{pointer}: `{place}` has another value", errors=[violation])

    def _put(self, operation: Operation, value: Any, source: Field | None = None) -> None:
        """Put a value, which came from a source's Field, at the operation's path."""
        self._bound_depth(operation, value)
        if not operation.path:
            self._replace_whole(operation, self._schema.visible_part(value, source))
            return
        container, step, target = self._parent(operation.path)
        if target is not source:  # what is hidden there might be seen here
            value = self._schema.visible_part(value, source)
        if isinstance(container, dict):
            container[step] = value
        elif step in {"-", str(len(container))}:
            container.append(value)
        else:
            container.insert(self._at(container, step, operation.path), value)

    def _replace_whole(self, operation: Operation, value: Any) -> None:
        """Replace the document as PUT does: what the client cannot see or write stays."""
        if isinstance(value, dict):
            self._handle(operation, self._before)
            system = {name: self._before[name] for name in SYSTEM_NAMES if name in self._before}
            value = {**system, **self._schema.keep_unwritable(value, self._before)}
        self._document = value

    def _remove(self, path: Steps) -> None:
        container, step, field = self._parent(path)
        if isinstance(container, list):
            del container[self._at(container, step, path)]
        elif is_hidden(field):
            container.pop(step, None)
        elif step in container:
            del container[step]
        else:
            raise _Absent("path", path)

    def _find(self, path: Steps, member: str) -> tuple[Any, Field | None]:
        """Return the value at a path, and its Field."""
        value: Any = self._document
        field: Field | None = self._schema.root
        for step in path:
            below = field_below(field, value, step)
            try:
                value = child(value, step)
            except Missing:
                raise _Absent(member, path) from None
            if is_hidden(below):
                raise _Absent(member, path)
            field = below
        return value, field

    def _parent(self, path: Steps) -> tuple[Any, str, Field | None]:
        """Return the object or array that a path ends in, its last step, and the Field of that."""
        container, field = self._find(path[:-1], "path")
        below = field_below(field, container, path[-1])
        is_unseen_array = isinstance(container, list) and is_hidden(below)
        if not isinstance(container, dict | list) or is_unseen_array:
            raise _Absent("path", path)
        return container, path[-1], below

    @staticmethod
    def _at(array: list[Any], step: str, path: Steps) -> int:
        try:
            return index(array, step)
        except Missing:
            raise _Absent("path", path) from None

    def _handle(self, operation: Operation, value: Any) -> None:
        """Count what is copied, moved and replaced as a whole, so that no patch makes much of little."""
        self._handled_bytes += len(json.dumps(value))
        if self._handled_bytes > self._limit_bytes:
            done = "copies, moves and replaces"
            detail = f"/{operation.position}: the patch {done} more than {self._limit_bytes} bytes in all"
            raise BodyTooLarge(detail)

    @staticmethod
    def _bound_depth(operation: Operation, value: Any) -> None:
        if len(operation.path) + depth(value) > MAXIMUM_DEPTH:
            detail = f"the document would be nested more than {MAXIMUM_DEPTH} levels deep"
            pointer = f"/{operation.position}/path"
            raise PatchInvalid(detail, errors=[Violation(detail, "too_deep", pointer=pointer)])


class _Absent(Exception):
    """There is nothing at the steps that a member of an operation, `path` or `from`, names."""

    def __init__(self, member: str, steps: Steps) -> None:
        self.member = member
        self.steps = steps
        super().__init__(member)


MAXIMUM_OPERATIONS = 1000
MAXIMUM_POINTER_CHARACTERS = 2000
NAMES = ("add", "remove", "replace", "move", "copy", "test")
WITH_VALUE, WITH_SOURCE = {"add", "replace", "test"}, {"move", "copy"}

_BAD_ESCAPE = re.compile(r"~(?![01])")


class Unreadable(ValueError):
    """Text that is not a pointer that can be followed here; says why."""


def read(body: Any) -> "JsonPatch":
    """Read a JSON Patch; raises PatchInvalid with the position of each operation that is wrong.

    Members that RFC 6902 does not know are ignored, as it says (4).
    """
    if not isinstance(body, list):
        detail = "A JSON Patch is an array of operations"
        raise PatchInvalid(detail, errors=[Violation(detail, "type", pointer="")])
    if len(body) > MAXIMUM_OPERATIONS:
        raise PatchInvalid(f"A JSON Patch has {MAXIMUM_OPERATIONS} operations at the most")
    violations = [each for position, part in enumerate(body) for each in _faults(position, part)]
    if violations:
        raise PatchInvalid(f"{violations[0].pointer}: {violations[0].detail}", errors=violations)
    return JsonPatch([_operation(position, part) for position, part in enumerate(body)])


def steps(pointer: str) -> Steps:
    """Read a JSON pointer (RFC 6901); raises Unreadable.

    >>> steps("/a~1b/m~0n/0"), steps("")
    (('a/b', 'm~n', '0'), ())
    """
    if pointer and pointer[0] != "/":
        raise Unreadable("a pointer is empty or begins with `/`")
    if len(pointer) > MAXIMUM_POINTER_CHARACTERS or pointer.count("/") > MAXIMUM_DEPTH:
        raise Unreadable(
            f"a pointer has {MAXIMUM_POINTER_CHARACTERS} characters and {MAXIMUM_DEPTH} steps at the most"
        )
    if _BAD_ESCAPE.search(pointer):
        raise Unreadable("`~` in a pointer is written `~0`, `/` in a name `~1`")
    return tuple(split_pointer(pointer))


def _faults(position: int, part: Any) -> Iterator[Violation]:
    here = f"/{position}"
    if not isinstance(part, dict):
        yield Violation("an operation is an object", "type", pointer=here)
        return
    name = part.get("op")
    if not isinstance(name, str) or name not in NAMES:
        detail = f"`op` is one of {', '.join(NAMES)}"
        yield Violation(detail, "enum", f"{here}/op", hint=suggestion(str(name)[:40], NAMES))
        return
    for member in ("path", "from") if name in WITH_SOURCE else ("path",):
        yield from _pointer_faults(part.get(member), f"{here}/{member}")
    if name in WITH_VALUE and "value" not in part:
        yield Violation(f"`{name}` needs a value", "required", pointer=f"{here}/value")
    if name == "remove" and part.get("path") == "":
        yield Violation("a whole document is removed by DELETE", "form", pointer=f"{here}/path")
    if name == "move" and str(part.get("path")).startswith(f"{part.get('from')}/"):
        yield Violation("a value cannot be moved into itself", "form", pointer=f"{here}/path")


def _pointer_faults(pointer: Any, here: str) -> Iterator[Violation]:
    if not isinstance(pointer, str):
        yield Violation("a JSON pointer is missing", "required" if pointer is None else "type", pointer=here)
        return
    try:
        steps(pointer)
    except Unreadable as problem:
        yield Violation(str(problem), "pointer", pointer=here)


def _operation(position: int, part: dict[str, Any]) -> Operation:
    name = part["op"]
    source = steps(part["from"]) if name in WITH_SOURCE else ()
    return Operation(position, name, steps(part["path"]), source, part.get("value"))


class JsonPatch:
    """A JSON Patch of documents."""

    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations

    def __call__(self, document: dict[str, Any], schema: Schema, limit_bytes: int) -> Any:
        """Return a document of a schema, which may have so many bytes, as all operations make it.

        Raises PatchConflict for a place that there is not (409: RFC 5789, 2.2, has it for patches that assume
        a structure that the resource lacks), PatchTestFailed, PatchInvalid, BodyTooLarge.
        """
        application = Application(document, schema, limit_bytes)
        for operation in self._operations:
            application.apply(operation)
        return application.result()
