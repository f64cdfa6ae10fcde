"""A batch's operations run: by the same functions of the engine as single requests, one after the other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

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
from service.documents.batch.operations import REFERRING, Batch, Operation, resolve
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
)
from service.storage.database import Database

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
