"""Changing one stored document: read, compute, write if nobody else wrote meanwhile, else again.

Changes of one document that meet on a worker are made together: one read, each computed from the outcome of
the one before it, with its own version and its own answer or failure, and one conditional write of the last.
So very many at once cost few round trips, and writers on other workers are met seldom.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, PyMongoError, WriteError

from service.collections.registry import Collection
from service.documents import failures
from service.documents.preconditions import Expected
from service.documents.terms import names
from service.kit.errors import Contention, DocumentNotFound
from service.query import Compare, Node, conjoin
from service.storage.database import calls_of
from service.storage.store import decoded, selector
from service.storage.transactions import delegate_session, session
from service.storage.turns import RETRY, Waiting

ATTEMPTS = 100
"""How often a write is tried again on the newest version: with the pauses, longer than a request may take."""

MAXIMUM_TOGETHER = 100
"""Changes that are written as one."""

REFUSALS = (WriteError, DocumentTooLarge, BSONError, OverflowError)
"""Errors of the driver that say for certain that nothing was written."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that somebody asked for: within which rule, at which version, and what it makes of a document.

    `compute` gives the stored document that takes the place of a stored one, or raises; `wheres` are the
    conditions by which it chooses among the rule's alternatives.
    """

    where: Node | None
    expected: Expected | None
    compute: Callable[[dict[str, Any]], dict[str, Any]]
    wheres: tuple[Node, ...] = ()

    def outcome(self, present: dict[str, Any]) -> dict[str, Any]:
        """Give what takes the place of the present document; raises Stale and what `compute` raises."""
        if self.expected is not None:
            self.expected.check(present)
        return self.compute(present)


async def make(collection: Collection, document_id: Any, asked: Asked) -> dict[str, Any]:
    """Change a document; gives it as it is stored then.

    Within a transaction nobody waits for others: they could be waiting for this transaction. Raises
    DocumentNotFound, Stale, Duplicate, Contention, Busy, and what `compute` raises.
    """
    if session() is None:
        serve = partial(_serve, collection, document_id)
        changed: dict[str, Any] = await collection.turns.take(document_id, asked, serve)
        return changed
    present = await find(collection, document_id, asked.where)
    changed = asked.outcome(present)
    try:
        is_written = await _write(collection, asked.where, present, changed)
    except (PyMongoError, BSONError, OverflowError) as error:
        failures.translate(collection, error)
    if not is_written:
        raise Contention
    return changed


async def find(collection: Collection, document_id: Any, where: Node | None) -> dict[str, Any]:
    """Read a stored document that a rule lets be seen; raises DocumentNotFound."""
    present = await collection.store.get(document_id, where)
    if present is None:
        raise DocumentNotFound
    return decoded(present)


def at_version(present: dict[str, Any]) -> Node:
    """Give the condition that a document is still at the version that it had when it was read."""
    return Compare(("_version",), "eq", present.get("_version"))


async def _write(
    collection: Collection, where: Node | None, present: dict[str, Any], changed: dict[str, Any]
) -> bool:
    """Put a document in the place of the present one; tells whether that was still there for the caller."""
    condition = selector(present["_id"], conjoin(where, at_version(present)))
    replace = partial(
        collection.documents.delegate.replace_one, condition, changed, session=delegate_session()
    )
    written = await calls_of(collection.documents).writes.run(replace)
    return bool(written.matched_count)


async def _serve(
    collection: Collection, document_id: Any, waiting: list[Waiting[Asked]]
) -> list[Waiting[Asked]]:
    """Make the first changes that have one rule in common; gives those that are left."""
    where = waiting[0].asked.where
    batch = list(takewhile(lambda each: _is_same(each.asked.where, where), waiting[:MAXIMUM_TOGETHER]))
    left = waiting[len(batch) :]
    for attempt in range(ATTEMPTS):
        batch = [each for each in batch if not each.future.done()]
        if not batch:
            return left
        try:
            unserved = await _try(collection, document_id, batch)
        except REFUSALS as error:
            await _refuse(collection, document_id, batch, error)
            return left
        if unserved is not None:
            return [*unserved, *left]
        await RETRY.sleep(attempt)
    for each in batch:
        each.settle(Contention())
    return left


async def _try(
    collection: Collection, document_id: Any, batch: list[Waiting[Asked]]
) -> list[Waiting[Asked]] | None:
    """Make changes of one rule, and settle them; gives those left, None when somebody else wrote meanwhile.

    Other errors of the driver than REFUSALS are for all: what was done is not known then.
    """
    where = batch[0].asked.where
    try:
        present = await find(collection, document_id, where)
    except DocumentNotFound:
        for each in batch:
            each.settle(DocumentNotFound())  # one each, for who catches it may say more in it
        return []
    outcomes, newest = await _outcomes(collection, batch, present)
    if newest is not present and not await _write(collection, where, present, newest):
        return None
    for each, outcome in outcomes:
        each.settle(outcome)
    return batch[len(outcomes) :]


async def _outcomes(
    collection: Collection, batch: list[Waiting[Asked]], present: dict[str, Any]
) -> tuple[list[tuple[Waiting[Asked], Any]], dict[str, Any]]:
    """Compute changes one on the other; gives each one's document or failure, and the last document.

    Fewer than there are, when one has changed what the rule looks at, or an index that may refuse it: only
    the database may judge that.
    """
    watched = {*_looked_at(batch), *_indexed(collection)} if len(batch) > 1 else set()
    newest = present
    outcomes: list[tuple[Waiting[Asked], Any]] = []
    outcome: Any
    for each in batch:
        if newest is not present:
            # The same object, not an equal one: true equals 1 in Python, and not in a rule.
            if any(present.get(name) is not newest.get(name) for name in watched):
                break
            await asyncio.sleep(0)  # others shall not wait until all are computed
        try:
            outcome = newest = each.asked.outcome(newest)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this one's and nobody else's
            outcome = error
        outcomes.append((each, outcome))
    return outcomes, newest


async def _refuse(
    collection: Collection, document_id: Any, batch: list[Waiting[Asked]], error: Exception
) -> None:
    """Tell the one whose write MongoDB refused; of several, by making each alone."""
    if len(batch) > 1:
        for each in batch:
            await _serve(collection, document_id, [each])
        return
    try:
        failures.translate(collection, error)
    except Exception as failure:  # noqa: BLE001  # ours, or the driver's own
        batch[0].settle(failure)


def _is_same(one: Node | None, other: Node | None) -> bool:
    """Tell whether two conditions are one: true equals 1 in Python, and not in a rule."""
    return one is other or (one == other and repr(one) == repr(other))


def _looked_at(batch: list[Waiting[Asked]]) -> Iterator[str]:
    """Give the names of the members that the rule's conditions look at."""
    yield from names(batch[0].asked.where)
    for each in batch:
        for where in each.asked.wheres:
            yield from names(where)


def _indexed(collection: Collection) -> Iterator[str]:
    """Give the names of the members that MongoDB may refuse a value of: in unique indexes, and places."""
    for index in collection.description.indexes:
        if index.options.get("unique") or any(kind == "2dsphere" for _, kind in index.keys):
            for path, _ in index.keys:
                yield path.partition(".")[0]
            yield from _filtered(index.options.get("partialFilterExpression", {}))


def _filtered(condition: Mapping[str, Any]) -> Iterator[str]:
    """Give the names of the members that a filter of MongoDB's looks at."""
    for name, part in condition.items():
        if not name.startswith("$"):
            yield name.partition(".")[0]
        elif isinstance(part, list):
            for each in part:
                yield from _filtered(each)
