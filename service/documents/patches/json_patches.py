"""JSON Patch (RFC 6902): operations one after the other, all or none."""

import re
from collections.abc import Iterator
from typing import Any

from service.documents.patches.application import Application, Operation, Steps
from service.kit.errors import PatchInvalid, Violation, suggestion
from service.kit.pointers import split
from service.kit.strict_json import MAXIMUM_DEPTH
from service.schema import Schema

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
    return tuple(split(pointer))


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
