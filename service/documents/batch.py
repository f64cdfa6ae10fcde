"""Many operations in one request, with references between them, run together or each by itself.

They run by the same functions of the engine as single requests, one after the other.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import orjson

from service.access.principals import Principal
from service.collections.registry import Registry
from service.documents import (
    encoding,
    ids,
    patches,
    preconditions,
    reading,
    write_policy,
    writing,
)
from service.documents.access import Access
from service.documents.idempotency import FailureResult, Step, StepResult, minimal
from service.documents.preconditions import Expected
from service.kit.errors import (
    BatchInvalid,
    BodyTooLarge,
    CollectionNotFound,
    DocumentInvalid,
    DocumentNotFound,
    Duplicate,
    Failure,
    FieldNotWritable,
    Forbidden,
    IdInvalid,
    PreconditionRequired,
    Stale,
    Violation,
    suggestion,
)
from service.kit.json_values import escape_pointer, join_pointer
from service.kit.violations import Violations
from service.schema.check import MAXIMUM_NAME_BYTES
from service.storage.database import Database

MAXIMUM_OPERATIONS = 100

REFERENCE = "_ref"

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)

MAXIMUM_REFERENCES = 1000
"""References in one batch, each of which may put a long id in the place of a short name."""

Op: TypeAlias = Literal["create", "replace", "patch", "delete", "get"]

OPS: tuple[Op, ...] = get_args(Op)
MEMBERS = ("atomic", "operations")
PATCHES = ("patch", "json_patch", "operations")
"""The members of which a patch has exactly one, as the media types of a single request."""

REFERRING = ("id", "document", *PATCHES)
"""The members in which references may stand."""

_REQUIRED: Mapping[Op, tuple[str, ...]] = {
    "create": ("document",),
    "replace": ("id", "document"),
    "patch": ("id",),
    "delete": ("id",),
    "get": ("id",),
}
_OPTIONAL: Mapping[Op, tuple[str, ...]] = {
    "create": ("id", "as"),
    "replace": ("if_match", "upsert", "as"),
    "patch": ("if_match", "as", *PATCHES),
    "delete": ("if_match",),
    "get": ("as",),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its place in the batch, what it does, and its members as they were sent.

    `name` is what later operations call its document by.
    """

    index: int
    op: Op
    collection: str
    members: Mapping[str, Any]
    name: str | None

    @property
    def pointer(self) -> str:
        """Return the place of the operation in the request's body."""
        return f"/operations/{self.index}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Operations in order, and whether they come to pass only all together.

    `is_minimal` has answers to writes hold the id instead of the document.
    """

    is_atomic: bool
    operations: tuple[Operation, ...]
    is_minimal: bool = False


def parse(body: Any, *, is_minimal: bool = False) -> Batch:
    """Read a request's body; raises BatchInvalid with every violation of its form.

    What the operations write is not looked at here: the engine does, as for single requests.

    >>> parse({"operations": [{"op": "get", "collection": "films", "id": "1"}]}).operations[0].pointer
    '/operations/0'
    """
    violations = Violations()
    violations.extend(_shape_faults(body))
    if not violations:
        for at, part in enumerate(body["operations"]):
            violations.extend(_operation_faults(part, f"/operations/{at}"))
    if not violations:
        violations.extend(_name_faults(body["operations"]))
    violations.raise_if_any(BatchInvalid, "things are wrong")
    operations = tuple(
        Operation(index, operation["op"], operation["collection"], operation, operation.get("as"))
        for index, operation in enumerate(body["operations"])
    )
    return Batch(body.get("atomic", True), operations, is_minimal)


def _shape_faults(body: Any) -> Iterator[Violation]:
    if not isinstance(body, dict):
        yield Violation('a batch is an object such as {"operations": […]}', "type", pointer="")
        return
    yield from _unknown(body, MEMBERS, "", "a member of a batch")
    if not isinstance(body.get("atomic", True), bool):
        yield Violation("`atomic` is true or false", "type", pointer="/atomic")
    operations = body.get("operations")
    if not isinstance(operations, list):
        yield Violation("`operations` is an array of operations", "type", pointer="/operations")
    elif not 1 <= len(operations) <= MAXIMUM_OPERATIONS:
        detail = f"a batch has 1 to {MAXIMUM_OPERATIONS} operations, and this one has {len(operations)}"
        yield Violation(detail, "length", pointer="/operations")


def _operation_faults(operation: Any, at: str) -> Iterator[Violation]:
    if not isinstance(operation, dict):
        yield Violation("an operation is an object", "type", pointer=at)
        return
    op = operation.get("op")
    if op not in OPS:
        hint = suggestion(op[:20], OPS) if isinstance(op, str) else None
        yield Violation(f"`op` is one of {', '.join(OPS)}", "enum", pointer=f"{at}/op", hint=hint)
        return
    known = ("op", "collection", *_REQUIRED[op], *_OPTIONAL[op])
    yield from _unknown(operation, known, at, f"a member of `{op}`")
    for name in ("collection", *_REQUIRED[op]):
        if name not in operation:
            yield Violation(f"`{op}` needs `{name}`", "required", pointer=f"{at}/{name}")
    patches = [name for name in PATCHES if name in operation]
    if op == "patch" and len(patches) != 1:
        detail = f"`patch` has exactly one of {', '.join(f'`{name}`' for name in PATCHES)}"
        yield Violation(detail, "form" if patches else "required", pointer=f"{at}/{PATCHES[0]}")
    yield from _member_faults(operation, at)


def _member_faults(operation: dict[str, Any], at: str) -> Iterator[Violation]:
    """Check the members that the batch itself reads."""
    if not isinstance(operation.get("collection", ""), str):
        yield Violation("`collection` is a name", "type", pointer=f"{at}/collection")
    if not isinstance(operation.get("upsert", False), bool):
        yield Violation("`upsert` is true or false", "type", pointer=f"{at}/upsert")
    if "id" in operation:
        yield from _id_faults(operation, at)
    if "if_match" in operation and not _is_version(operation["if_match"]):
        detail = "`if_match` is a version such as 3, or `*`"
        yield Violation(detail, "type", pointer=f"{at}/if_match")
    name = operation.get("as", "name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        detail = "`as` is a letter followed by at most 62 letters, digits, `_` and `-`"
        yield Violation(detail, "pattern", pointer=f"{at}/as")


def _id_faults(operation: dict[str, Any], at: str) -> Iterator[Violation]:
    value, document = operation["id"], operation.get("document")
    is_plain = isinstance(value, str | int) and not isinstance(value, bool)
    if not is_plain and not is_reference(value):
        yield Violation("`id` is a text, an integer or a reference", "type", pointer=f"{at}/id")
    elif operation["op"] == "create" and isinstance(document, dict) and "id" in document:
        yield Violation("the document brings an id already", "form", pointer=f"{at}/id")


def _is_version(value: Any) -> bool:
    return value == "*" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _unknown(members: dict[str, Any], known: tuple[str, ...], at: str, said: str) -> Iterator[Violation]:
    for name in members:
        if name not in known:
            shown = name[:80]
            hint = suggestion(shown, known)
            yield Violation(
                f"`{shown}` is not {said}", "unknown", pointer=at + escape_pointer(shown), hint=hint
            )


def _name_faults(operations: list[dict[str, Any]]) -> Iterator[Violation]:
    """Yield the names that are there twice, and the references that lead to no earlier operation."""
    all_names = {operation["as"] for operation in operations if "as" in operation}
    earlier: set[str] = set()
    count = 0
    for index, operation in enumerate(operations):
        for member in REFERRING:
            for pointer, name in references_in(operation.get(member), f"/operations/{index}/{member}"):
                count += 1
                if count > MAXIMUM_REFERENCES:
                    detail = f"a batch has {MAXIMUM_REFERENCES} references at the most"
                    yield Violation(detail, "length", pointer=pointer)
                    return
                if name is None or name not in earlier:
                    yield _bad_reference(name, all_names, earlier, pointer)
        if "as" in operation:
            if operation["as"] in earlier:
                detail = f"`{operation['as']}` names an earlier operation already"
                yield Violation(detail, "repeated", pointer=f"/operations/{index}/as")
            earlier.add(operation["as"])


def _bad_reference(name: str | None, all_names: set[str], earlier: set[str], pointer: str) -> Violation:
    if name is None:
        detail = 'a reference is an object with one member, such as {"_ref": "author"}'
        return Violation(detail, "reference", pointer=pointer)
    if name in all_names:
        detail = f"`{name[:80]}` is no earlier operation; a reference leads back"
        return Violation(detail, "reference", pointer=pointer)
    detail = f"no earlier operation has `as` `{name[:80]}`"
    return Violation(detail, "reference", pointer=pointer, hint=suggestion(name[:80], earlier))


def is_reference(value: Any) -> bool:
    """Return whether a value is a reference, be it a malformed one.

    >>> is_reference({"_ref": "author"}), is_reference({"name": "Ann"})
    (True, False)
    """
    return isinstance(value, dict) and REFERENCE in value


def references_in(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Yield each reference within a value: where it is, and the name in it, None when it is malformed.

    Names that are too long for a field, which is refused later, are cut in the pointers.

    >>> list(references_in({"a": [{"_ref": "x"}, {"_ref": "x", "b": 1}]}, ""))
    [('/a/0', 'x'), ('/a/1', None)]
    """
    for path, name in _find(value, ()):
        yield pointer + join_pointer(path), name


def _find(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if is_reference(value):
        name = value[REFERENCE]
        yield path, name if isinstance(name, str) and len(value) == 1 else None
    elif isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, dict | list):
                yield from _find(part, (*path, name[:MAXIMUM_NAME_BYTES]))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, dict | list):
                yield from _find(part, (*path, index))


def resolve(value: Any, known: Mapping[str, Any]) -> Any:
    """Return a value with ids in the place of references; raises KeyError for a name that is not known.

    >>> resolve({"a": [{"_ref": "x"}, 1]}, {"x": "5f"})
    {'a': ['5f', 1]}
    """
    if is_reference(value):
        return known[value[REFERENCE]]
    if isinstance(value, dict):
        return {name: resolve(part, known) for name, part in value.items()}
    if isinstance(value, list):
        return [resolve(part, known) for part in value]
    return value


CREATED, OK, NO_CONTENT = 201, 200, 204

MAXIMUM_ANSWER_BYTES = 32 * 1024 * 1024
"""How large the answers of a batch may be together; those beyond it have the id for the document."""

_PLACES: tuple[tuple[tuple[type[Failure], ...], str], ...] = (
    ((DocumentInvalid, FieldNotWritable, Duplicate, BodyTooLarge), "/document"),
    ((CollectionNotFound,), "/collection"),
    ((IdInvalid, DocumentNotFound), "/id"),
    ((Stale, PreconditionRequired), "/if_match"),
)
"""Where within an operation its failures lie; the pointers of others begin at the operation itself."""


Known: TypeAlias = dict[str, Any]
"""The ids of documents by the names of their operations, as they are in JSON."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation did: the status that a single request would be answered with, and the document."""

    status: int
    access: Access
    document: dict[str, Any] | None

    def result(self, *, is_minimal: bool) -> StepResult:
        """Return what the operation is answered, as `dump` writes it; if minimal, the id for the document."""
        if self.document is None:
            return {"status": self.status}
        etag = preconditions.tag(self.document)
        view = write_policy.shown(self.access, self.document)
        shown = {"id": view["id"]} if is_minimal else {"data": view}
        return {"status": self.status, **shown, "etag": etag}


class _Answers:
    """What the operations are answered, as JSON: a hundred documents are a few bytes to ask for."""

    def __init__(self) -> None:
        self.parts: list[orjson.Fragment] = []
        self._size = 0

    def add(self, result: StepResult) -> None:
        """Add what the next operation is answered, of which little is kept when there is much already."""
        content = encoding.dump(result)
        if self._size + len(content) > MAXIMUM_ANSWER_BYTES:
            content = encoding.dump(minimal(result))
        self._size += len(content)
        self.parts.append(orjson.Fragment(content))


class _Callers:
    """The caller's access to the collections of a batch, each asked for once."""

    def __init__(self, registry: Registry, principal: Principal) -> None:
        self._registry = registry
        self._principal = principal
        self._known: dict[str, Access] = {}

    def access(self, name: str) -> Access:
        """Return the access to a collection; raises CollectionNotFound."""
        if name not in self._known:
            self._known[name] = Access(self._registry.get(name), self._principal)
        return self._known[name]


async def run_atomically(
    database: Database, registry: Registry, principal: Principal, batch: Batch
) -> list[orjson.Fragment]:
    """Run all operations in one transaction, which the first failure ends; reads see the writes before them.

    Raises that failure, with the operation's place in its pointers and its index as `operation`.
    """

    async def work() -> list[orjson.Fragment]:  # anew at each try
        known: Known = {}
        answers = _Answers()
        callers = _Callers(registry, principal)
        for operation in batch.operations:
            try:
                result = await _run(callers, batch, operation, known)
            except Failure as failure:
                failure.extra["operation"] = operation.index
                raise
            _note(operation, result, known)
            answers.add(result)
        return answers.parts

    return await database.transaction(work)


async def run_each(
    registry: Registry, principal: Principal, batch: Batch, step: Step, failure_result: FailureResult
) -> list[orjson.Fragment]:
    """Run the operations each by itself, in order; one that fails leaves the others alone.

    `step` runs each one and has `failure_result` make a failure what its operation is answered.
    """
    known: Known = {}
    answers = _Answers()
    callers = _Callers(registry, principal)
    for operation in batch.operations:
        run = partial(_run, callers, batch, operation, known)
        result = await step(operation.index, run, failure_result)
        _note(operation, result, known)
        answers.add(result)
    return answers.parts


def _note(operation: Operation, result: StepResult, known: Known) -> None:
    """Remember the id of an operation's document by its name; it may be an answer to another worker."""
    shown = result if "id" in result else result.get("data", {})
    if operation.name is not None and "id" in shown:
        known[operation.name] = orjson.loads(encoding.dump(shown["id"]))


async def _run(callers: _Callers, batch: Batch, operation: Operation, known: Known) -> StepResult:
    """Run one operation; the pointers of failures begin at the request's body."""
    members = _resolved(operation, known)
    try:
        done = await _RUN[operation.op](callers.access(operation.collection), members)
    except Failure as failure:
        raise failure.below(operation.pointer + _place(failure)) from None
    return done.result(is_minimal=batch.is_minimal and operation.op != "get")


def _place(failure: Failure) -> str:
    """Return the place within an operation where a failure lies."""
    if isinstance(failure, Forbidden):
        return "/document" if failure.errors else ""  # for its fields, or altogether
    return next((place for kinds, place in _PLACES if isinstance(failure, kinds)), "")


def _resolved(operation: Operation, known: Known) -> dict[str, Any]:
    """Return an operation's members without references, and with its patch read."""
    try:
        members = {
            name: resolve(value, known) if name in REFERRING else value
            for name, value in operation.members.items()
        }
        if operation.op == "patch":
            members["patch"] = patches.of_operation(members)
    except KeyError as error:
        failed = BatchInvalid(f"The operation `{error.args[0]}`, to which this one refers, failed")
        raise failed.below(operation.pointer) from None
    except Failure as failure:
        raise failure.below(operation.pointer) from None
    return members


async def _create(access: Access, members: dict[str, Any]) -> Done:
    body = members["document"]
    if "id" in members and isinstance(body, dict):
        body = {**body, "id": members["id"]}
    written = await access.collection.store.write(writing.create(access, body, through="batch"))
    return Done(CREATED, access, written.document)


async def _replace(access: Access, members: dict[str, Any]) -> Done:
    document_id, body, expected = _id(access, members), members["document"], _expected(members)
    may_create = members.get("upsert", False)
    plan = writing.put(access, document_id, body, expected, may_create=may_create, through="batch")
    written = await access.collection.store.write(plan)
    return Done(CREATED if written.is_new else OK, access, written.document)


async def _patch(access: Access, members: dict[str, Any]) -> Done:
    document_id, expected = _id(access, members), _expected(members)
    plan = writing.patch(access, document_id, members["patch"], expected, through="batch")
    return Done(OK, access, (await access.collection.store.write(plan)).document)


async def _delete(access: Access, members: dict[str, Any]) -> Done:
    plan = writing.delete(access, _id(access, members), _expected(members), through="batch")
    await access.collection.store.write(plan)
    return Done(NO_CONTENT, access, None)


async def _get(access: Access, members: dict[str, Any]) -> Done:
    return Done(OK, access, await reading.get_decoded(access, _id(access, members)))


_RUN: dict[str, Callable[[Access, dict[str, Any]], Awaitable[Done]]] = {
    "create": _create,
    "replace": _replace,
    "patch": _patch,
    "delete": _delete,
    "get": _get,
}


def _id(access: Access, members: dict[str, Any]) -> Any:
    return ids.parse(access.collection, str(members["id"]))


def _expected(members: dict[str, Any]) -> Expected | None:
    version = members.get("if_match")
    if version is None:
        return None
    return Expected(None if version == "*" else frozenset({str(version)}))
