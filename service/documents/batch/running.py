"""A batch's operations run: by the same functions of the engine as single requests, one after the other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import orjson

from service.access.principals import Principal
from service.collections.registry import Collection, Registry
from service.documents import encoding, ids, patches, preconditions, reading, terms, writing
from service.documents.access import Access
from service.documents.batch.operations import REFERRING, Batch, Operation
from service.documents.batch.references import resolve
from service.documents.idempotency.steps import Step, Tell, Told, minimal
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
    collection: Collection
    document: dict[str, Any] | None

    def told(self, principal: Principal, *, is_minimal: bool) -> Told:
        """Give what the operation is answered, as `dump` writes it; if minimal, the id for the document."""
        if self.document is None:
            return {"status": self.status}
        etag = preconditions.tag(self.document)
        view = terms.shown(self.collection, principal, self.document)
        shown = {"id": view["id"]} if is_minimal else {"data": view}
        return {"status": self.status, **shown, "etag": etag}


class _Answers:
    """What the operations are answered, as JSON: a hundred documents are a few bytes to ask for."""

    def __init__(self) -> None:
        self.parts: list[orjson.Fragment] = []
        self._size = 0

    def add(self, told: Told) -> None:
        """Add what the next operation is answered, of which little is kept when there is much already."""
        content = encoding.dump(told)
        if self._size + len(content) > MAXIMUM_ANSWER_BYTES:
            content = encoding.dump(minimal(told))
        self._size += len(content)
        self.parts.append(orjson.Fragment(content))


async def run_atomically(
    database: Database, registry: Registry, principal: Principal, batch: Batch
) -> list[orjson.Fragment]:
    """Run all operations in one transaction, which the first failure ends; reads see the writes before them.

    Raises that failure, with the operation's place in its pointers and its index as `operation`.
    """

    async def work() -> list[orjson.Fragment]:  # anew at each try
        known: Known = {}
        answers = _Answers()
        for operation in batch.operations:
            try:
                told = await _run(registry, principal, batch, operation, known)
            except Failure as failure:
                failure.extra["operation"] = operation.index
                raise
            _note(operation, told, known)
            answers.add(told)
        return answers.parts

    return await database.transaction(work)


async def run_each(
    registry: Registry, principal: Principal, batch: Batch, step: Step, tell: Tell
) -> list[orjson.Fragment]:
    """Run the operations each by itself, in order; one that fails leaves the others alone.

    `step` runs each one and has `tell` make a failure what its operation is answered.
    """
    known: Known = {}
    answers = _Answers()
    for operation in batch.operations:
        run = partial(_run, registry, principal, batch, operation, known)
        told = await step(operation.index, run, tell)
        _note(operation, told, known)
        answers.add(told)
    return answers.parts


def _note(operation: Operation, told: Told, known: Known) -> None:
    """Remember the id of an operation's document by its name; it may have been told by another worker."""
    shown = told if "id" in told else told.get("data", {})
    if operation.name is not None and "id" in shown:
        known[operation.name] = orjson.loads(encoding.dump(shown["id"]))


async def _run(
    registry: Registry, principal: Principal, batch: Batch, operation: Operation, known: Known
) -> Told:
    """Run one operation; the pointers of failures begin at the request's body."""
    members = _resolved(operation, known)
    try:
        collection = registry.get(operation.collection)
        done = await _RUN[operation.op](collection, principal, members)
    except Failure as failure:
        raise failure.below(operation.pointer + _place(failure)) from None
    return done.told(principal, is_minimal=batch.is_minimal and operation.op != "get")


def _place(failure: Failure) -> str:
    """Give the place within an operation where a failure lies."""
    if isinstance(failure, Forbidden):
        return "/document" if failure.errors else ""  # for its fields, or altogether
    return next((place for kinds, place in _PLACES if isinstance(failure, kinds)), "")


def _resolved(operation: Operation, known: Known) -> dict[str, Any]:
    """Give an operation's members without references, and with its patch read."""
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


async def _create(collection: Collection, principal: Principal, members: dict[str, Any]) -> Done:
    body = members["document"]
    if "id" in members and isinstance(body, dict):
        body = {**body, "id": members["id"]}
    return Done(CREATED, collection, await writing.create(collection, principal, body))


async def _replace(collection: Collection, principal: Principal, members: dict[str, Any]) -> Done:
    document, is_new = await writing.put(
        collection,
        principal,
        _id(collection, members),
        members["document"],
        _expected(members),
        may_create=members.get("upsert", False),
    )
    return Done(CREATED if is_new else OK, collection, document)


async def _patch(collection: Collection, principal: Principal, members: dict[str, Any]) -> Done:
    document = await writing.patch(
        collection, principal, _id(collection, members), members["patch"], _expected(members)
    )
    return Done(OK, collection, document)


async def _delete(collection: Collection, principal: Principal, members: dict[str, Any]) -> Done:
    await writing.delete(collection, principal, _id(collection, members), _expected(members))
    return Done(NO_CONTENT, collection, None)


async def _get(collection: Collection, principal: Principal, members: dict[str, Any]) -> Done:
    document = await reading.get_decoded(Access(collection, principal), _id(collection, members))
    return Done(OK, collection, document)


_RUN: dict[str, Callable[[Collection, Principal, dict[str, Any]], Awaitable[Done]]] = {
    "create": _create,
    "replace": _replace,
    "patch": _patch,
    "delete": _delete,
    "get": _get,
}


def _id(collection: Collection, members: dict[str, Any]) -> Any:
    return ids.parse(collection, str(members["id"]))


def _expected(members: dict[str, Any]) -> Expected | None:
    version = members.get("if_match")
    if version is None:
        return None
    return Expected(None if version == "*" else frozenset({str(version)}))
