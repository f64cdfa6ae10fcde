"""Executing write plans: the one place that writes documents of collections."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile
from typing import Any, TypeAlias

import bson
import pymongo
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WriteError,
)

from models.base import stored_now
from service.kit.errors import Contention, DocumentNotFound, Failure, TooManyAffected
from service.query import Compare, Node, conjoin, to_mongo
from service.query.mongo import of_document, searched
from service.query.tree import member_names
from service.storage import new_ids
from service.storage.batched_creates import BatchedCreates
from service.storage.codes import INDEX_NOT_FOUND
from service.storage.database import database_of, pools_of, timed
from service.storage.document_queue import RETRY, DocumentQueue, Waiting
from service.storage.plans import (
    Change,
    Clear,
    Create,
    CreateMany,
    Delete,
    DeleteMany,
    Document,
    Load,
    Matching,
    Origin,
    ReleaseOwned,
    Update,
    UpdateMany,
    Upsert,
    WritePlan,
    Written,
)
from service.storage.refusals import (
    NoTextIndex,
    error_of,
    is_duplicate_id,
    is_of_id,
    refusal,
    refused_one,
)
from service.storage.transactions import delegate_session, session

CREATE_ATTEMPTS = 32
"""How often an id is made, or a deletion tried again, before the client is told of the contention."""

UPDATE_ATTEMPTS = 100
"""How often a change is tried again on the newest version: with pauses, longer than a request may take."""

UPSERT_ATTEMPTS = 4
"""How often a document that is there for the database, and not for the caller, is looked for again."""

MAXIMUM_GROUP = 100
"""Changes of one document that are written as one."""

OWNED_AT_ONCE = 100
"""How many documents of an owner are released in one transaction."""

INSERT_TIMEOUT_S = 15.0
"""How long one insert of a load may take."""

NOT_WRITTEN = (WriteError, DocumentTooLarge, BSONError, OverflowError)
"""Errors of the driver that say for certain that nothing was written."""

REFUSED = (PyMongoError, BSONError, OverflowError)


Find: TypeAlias = Callable[[Any, Node | None], Awaitable[Document | None]]
"""Reads the document of an id, if it fulfils a condition."""


class Writes:
    """The writes of one collection. `execute` takes each kind of plan.

    What many write to one document at once is served in groups: one read, each change computed from the
    outcome of the one before it, with its own version and its own answer or failure, and one conditional
    write of the last. So very many at once cost few round trips, and writers on other workers are met seldom.
    The versions between are not stored, yet each has its Change.
    """

    def __init__(self, documents: Any, find: Find) -> None:
        self._database = database_of(documents)
        self._documents = documents
        self._raw = documents.with_options(
            codec_options=documents.codec_options.with_options(
                document_class=RawBSONDocument,
                # an id and a version can be read of documents that cannot be decoded
                datetime_conversion=DatetimeConversion.DATETIME_AUTO,
                unicode_decode_error_handler="replace",
            )
        )
        self._name: str = documents.name
        self._pools = pools_of(documents)
        self._find = find
        self._creates = BatchedCreates(documents)
        self._queue: DocumentQueue[Update] = DocumentQueue()
        self._publish = self._database.changes.publish

    def execute(self, plan: WritePlan) -> Awaitable[Written]:
        """Execute a plan; returns what it changed, which those who listen for changes are told too.

        Raises DocumentNotFound, Duplicate, DocumentInvalid, BodyTooLarge, Contention, Busy, RefusedOne for
        one of several documents, what the plan's own objects raise, and the driver's errors.
        """
        return _EXECUTE[type(plan)](self, plan)

    # One document

    async def _create(self, plan: Create) -> Written:
        attempts = CREATE_ATTEMPTS if session() is None else 1  # what fails within a transaction has ended it
        for attempt in range(attempts):
            document = plan.document
            if plan.id_kind is not None:
                document = plan.under(await new_ids.make(self._documents, plan.id_kind))
            try:
                await self._insert(document)
            except DuplicateKeyError as error:
                is_ours = plan.id_kind is not None and is_of_id(error)
                if not is_ours or attempt == attempts - 1:
                    raise refusal(self._name, error) from None
            except REFUSED as error:
                raise refusal(self._name, error) from None
            else:
                return self._written((document,), (self._created(document, plan.origin),))
        raise Contention

    def _insert(self, document: Document) -> Awaitable[object]:
        """Insert a document: together with others, but for transactions, which are of one task."""
        if session() is None:
            return self._creates.create(document)
        inserted: Awaitable[object] = self._documents.insert_one(document, session=session())
        return inserted

    async def _update(self, plan: Update) -> Written:
        """Change a document; within a transaction without waiting for others, who could be waiting for it."""
        if session() is None:
            written: Written = await self._queue.submit(plan.id, plan, partial(self._serve, plan.id))
            return written
        present = await self._find(plan.id, plan.where)
        if present is None:
            raise plan.absent()
        changed = plan.change.outcome(present)
        try:
            is_written = changed is present or await self._replace(plan.where, present, changed)
        except REFUSED as error:
            raise refusal(self._name, error) from None
        if not is_written:
            raise Contention
        return self._written((changed,), self._updated(present, changed, plan.origin))

    async def _upsert(self, plan: Upsert) -> Written:
        for attempt in range(UPSERT_ATTEMPTS):
            try:
                return await self._update(plan.update)
            except DocumentNotFound:
                pass
            try:
                return await self._create(plan.create())
            except Failure as failure:
                is_last = session() is not None or attempt == UPSERT_ATTEMPTS - 1
                if is_last or not is_duplicate_id(failure):
                    raise
            await RETRY.sleep(attempt)  # somebody created it just now
        raise Contention

    async def _delete(self, plan: Delete) -> Written:
        for attempt in range(CREATE_ATTEMPTS):
            where = plan.where
            if plan.expected is not None:
                present = await self._find(plan.id, where)
                if present is None:
                    raise DocumentNotFound
                plan.expected.check(present)
                where = conjoin(where, _at_version(present))
            deleted = await self._take(plan.id, where)
            if deleted is not None:
                before = self._decoded(deleted)
                change = self._deleted(deleted, stored_now(), plan.origin, before)
                return self._written((), (change,))
            if plan.expected is None:
                raise DocumentNotFound
            await RETRY.sleep(attempt)
        raise Contention

    async def _take(self, document_id: Any, where: Node | None) -> RawBSONDocument | None:
        """Delete a document; returns it, None when there is no such. One that cannot be decoded goes too."""
        selector = of_document(document_id, where)
        take = partial(self._raw.delegate.find_one_and_delete, selector, session=delegate_session())
        taken: RawBSONDocument | None = await self._pools.writes.run(take)
        return taken

    async def _replace(self, where: Node | None, present: Document, changed: Document) -> bool:
        """Put a document in the place of the present one; returns whether that was still there."""
        condition = of_document(present["_id"], conjoin(where, _at_version(present)))
        write = partial(self._documents.delegate.replace_one, condition, changed, session=delegate_session())
        written = await self._pools.writes.run(write)
        return bool(written.matched_count)

    # Changes of one document that wait for each other

    async def _serve(self, document_id: Any, waiting: list[Waiting[Update]]) -> list[Waiting[Update]]:
        """Make the first changes that have one rule in common; returns those that are left."""
        where = waiting[0].plan.where
        group = list(takewhile(lambda each: _is_same(each.plan.where, where), waiting[:MAXIMUM_GROUP]))
        left = waiting[len(group) :]
        for attempt in range(UPDATE_ATTEMPTS):
            group = [each for each in group if not each.future.done()]
            if not group:
                return left
            try:
                unserved = await self._try(document_id, group)
            except NOT_WRITTEN as error:
                await self._refuse(document_id, group, error)
                return left
            if unserved is not None:
                return [*unserved, *left]
            await RETRY.sleep(attempt)
        for each in group:
            each.settle(Contention())
        return left

    async def _try(self, document_id: Any, group: list[Waiting[Update]]) -> list[Waiting[Update]] | None:
        """Make changes of one rule, and settle them; returns those left, None if somebody else wrote.

        Other errors of the driver than NOT_WRITTEN are for all: what was done is not known then.
        """
        where = group[0].plan.where
        present = await self._find(document_id, where)
        if present is None:
            for each in group:
                each.settle(each.plan.absent())  # one each, for who catches it may say more in it
            return []
        outcomes, newest = await self._outcomes(group, present)
        if newest is not present and not await self._replace(where, present, newest):
            return None
        for each, outcome in outcomes:
            if isinstance(outcome, Written):
                self._publish(outcome.changes)
            each.settle(outcome)
        return group[len(outcomes) :]

    async def _outcomes(
        self, group: list[Waiting[Update]], present: Document
    ) -> tuple[list[tuple[Waiting[Update], Written | Exception]], Document]:
        """Compute changes one on the other; returns what each will have written, or its failure.

        And the last document. Fewer than there are, when one has changed what the rule looks at, or an index
        that may refuse it: only the database may judge that.
        """
        watched = _watched(group) if len(group) > 1 else set()
        newest = present
        outcomes: list[tuple[Waiting[Update], Written | Exception]] = []
        for each in group:
            if newest is not present:
                # The same object, not an equal one: true equals 1 in Python, and not in a rule.
                if any(present.get(name) is not newest.get(name) for name in watched):
                    break
                await asyncio.sleep(0)  # others shall not wait until all are computed
            try:
                changed = each.plan.change.outcome(newest)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is this one's and nobody else's
                outcomes.append((each, error))
                continue
            changes = self._updated(newest, changed, each.plan.origin)
            outcomes.append((each, Written(changes, (changed,), affected=len(changes))))
            newest = changed
        return outcomes, newest

    async def _refuse(self, document_id: Any, group: list[Waiting[Update]], error: Exception) -> None:
        """Fail the change that MongoDB refused; of several, find it by making each alone."""
        if len(group) > 1:
            for each in group:
                await self._serve(document_id, [each])
            return
        group[0].settle(refusal(self._name, error))

    # Many documents, all or none

    async def _create_many(self, plan: CreateMany) -> Written:
        documents = plan.documents
        count = sum("_id" not in document for document in documents)
        known = [] if plan.build is not None else [each["_id"] for each in documents if "_id" in each]
        for _ in range(CREATE_ATTEMPTS):
            made = await new_ids.make_many(self._documents, plan.id_kind, count, known)
            stored = _under(documents, made) if plan.build is None else await plan.build(made)
            try:
                return await self._database.transaction(partial(self._insert_all, stored, plan.origin))
            except BulkWriteError as error:
                refused = refused_one(self._name, error, stored)
                is_made = "_id" not in documents[refused.position]
                is_ours = is_made and is_duplicate_id(refused.failure)
                if not is_ours or session() is not None:  # else the id that we made was taken meanwhile
                    raise refused from None
            except (BSONError, OverflowError) as error:
                raise refusal(self._name, error) from None
        raise Contention

    async def _insert_all(self, stored: Sequence[Document], origin: Origin) -> Written:
        await self._documents.insert_many(stored, session=session())
        return self._written(stored, tuple(self._created(each, origin) for each in stored))

    async def _update_many(self, plan: UpdateMany) -> Written:
        return await self._database.transaction(partial(self._try_update_many, plan))

    async def _try_update_many(self, plan: UpdateMany) -> Written:
        found = await self._matching(plan.matching)
        documents: list[Document] = []
        replacements: list[Document] = []
        changes: list[Change] = []
        operations: list[ReplaceOne[Document]] = []
        if not found:
            return Written()
        ids = [each["_id"] for each in found]
        cursor = self._documents.find({"_id": {"$in": ids}}, sort=[("_id", 1)], session=session())
        async for present, changed in plan.change.outcomes(cursor):
            documents.append(changed)
            if changed is not present:
                condition = {"_id": present["_id"], "_version": present.get("_version")}
                operations.append(ReplaceOne(condition, changed))
                replacements.append(changed)
                changes += self._updated(present, changed, plan.origin)
        await self._replace_all(operations, replacements)
        return self._written(documents, tuple(changes))

    async def _replace_all(
        self, operations: list[ReplaceOne[Document]], replacements: list[Document]
    ) -> None:
        if not operations:
            return
        try:
            written = await self._documents.bulk_write(operations, session=session())
        except BulkWriteError as error:
            raise refused_one(self._name, error, replacements) from None
        except (BSONError, OverflowError) as error:
            raise refusal(self._name, error) from None
        if written.matched_count != len(operations):
            raise Contention

    async def _delete_many(self, plan: DeleteMany) -> Written:
        return await self._database.transaction(partial(self._try_delete_many, plan))

    async def _try_delete_many(self, plan: DeleteMany) -> Written:
        found = await self._matching(plan.matching)
        return await self._delete_found(found, plan.origin) if found else Written()

    async def _delete_found(self, found: Sequence[Document], origin: Origin) -> Written:
        # The transaction's snapshot still fulfils the condition, and a document that somebody else has
        # changed since then ends it: no gap lies between finding and deleting.
        ids = [each["_id"] for each in found]
        deleted = await self._documents.delete_many({"_id": {"$in": ids}}, session=session())
        if deleted.deleted_count != len(found):
            raise Contention
        at = stored_now()
        return self._written((), tuple(self._deleted(each, at, origin) for each in found))

    async def _matching(self, matching: Matching) -> list[Document]:
        """Find the ids and versions of matching documents; raises TooManyAffected."""
        condition = {} if matching.where is None else to_mongo(matching.where)
        if matching.search is not None:
            condition = searched(condition, matching.search)
        limit = matching.maximum + 1
        cursor = self._documents.find(
            condition, {"_version": 1}, limit=limit, batch_size=limit, session=session()
        )
        try:
            with timed(self._documents, {"find": self._name, "filter": condition, "limit": limit}):
                found = [each async for each in cursor]
        except OperationFailure as error:
            if error.code == INDEX_NOT_FOUND:
                raise NoTextIndex from None
            raise
        if len(found) > matching.maximum:
            raise TooManyAffected(
                f"At least {len(found)} documents match, and max_affected is {matching.maximum}",
                hint="Narrow the filter, or raise max_affected if so many are meant.",
            )
        return found

    # Many documents, each by itself

    async def _load(self, plan: Load) -> Written:
        errors: list[dict[str, Any]] = []
        try:
            with pymongo.timeout(INSERT_TIMEOUT_S):
                await self._documents.insert_many(plan.documents, ordered=False)
        except BulkWriteError as error:
            errors = error.details["writeErrors"]
            if error.details["writeConcernErrors"]:
                raise
        failed = {each["index"]: error_of(each) for each in errors}
        created = [each for position, each in enumerate(plan.documents) if position not in failed]
        written = self._written((), tuple(self._created(each, plan.origin) for each in created))
        refused: list[tuple[int, Failure]] = []
        for position, reason in failed.items():
            failure = refusal(self._name, reason)
            if not isinstance(failure, Failure):
                raise failure
            if not is_of_id(reason):
                refused.append((position, failure))
        return written._replace(refused=refused)

    async def _release_owned(self, plan: ReleaseOwned) -> Written:
        """Release an owner's documents, some at a time: each time wholly, with its changes."""
        count, ids = 0, []
        async for each in self._documents.find({"_owner": plan.owner}, {"_id": 1}):
            ids.append(each["_id"])
            if len(ids) == OWNED_AT_ONCE:
                count += await self._database.transaction(partial(self._release, plan, ids))
                ids = []
        if ids:
            count += await self._database.transaction(partial(self._release, plan, ids))
        return Written(affected=count)

    async def _release(self, plan: ReleaseOwned, ids: list[Any]) -> int:
        wanted = {"_id": {"$in": ids}, "_owner": plan.owner}
        owned = [each async for each in self._raw.find(wanted, session=session())]
        now = stored_now()
        if plan.new_owner is None:
            await self._documents.delete_many(wanted, session=session())
            self._publish([self._deleted(each, now, plan.origin, self._decoded(each)) for each in owned])
            return len(owned)
        given = {"_owner": plan.new_owner, "_updated_at": now}
        try:
            await self._documents.update_many(
                wanted, {"$set": given, "$inc": {"_version": 1}}, session=session()
            )
        except OperationFailure as error:
            raise refusal(self._name, error) from None
        self._publish([self._given(each, given, plan.origin) for each in owned])
        return len(owned)

    def _given(self, raw: RawBSONDocument, given: Document, origin: Origin) -> Change:
        """Return the change of a document that was given to another owner."""
        before, version = self._decoded(raw), (raw.get("_version") or 0) + 1
        after = None if before is None else {**before, **given, "_version": version}
        return Change(self._name, raw["_id"], "update", before, after, version, given["_updated_at"], *origin)

    async def _clear(self, plan: Clear) -> Written:
        if plan.created is not None:
            first, last = plan.created
            stray = {"_created_at": {"$gte": first, "$lte": last}}
            if not (await self._documents.delete_many(stray)).deleted_count:
                return Written()
        else:
            await (self._documents.drop() if plan.drops else self._documents.delete_many({}))
            await new_ids.forget(self._name)
        cleared = Change(self._name, None, "clear", None, None, None, stored_now(), *plan.origin)
        return self._written((), (cleared,))

    # What has changed

    def _written(self, documents: Sequence[Document], changes: tuple[Change, ...]) -> Written:
        """Return what was written, once those who listen for changes are told."""
        if changes:
            self._publish(changes)
        return Written(changes, documents, len(changes))

    def _created(self, document: Mapping[str, Any], origin: Origin) -> Change:
        at, version = document["_created_at"], document.get("_version")
        return Change(self._name, document["_id"], "create", None, document, version, at, *origin)

    def _updated(self, before: Document, after: Document, origin: Origin) -> tuple[Change, ...]:
        """Return the change of a document, none where it stays as it is."""
        if after is before:
            return ()
        at, version = after["_updated_at"], after["_version"]
        return (Change(self._name, after["_id"], "update", before, after, version, at, *origin),)

    def _deleted(
        self, known: Mapping[str, Any], at: datetime, origin: Origin, before: Document | None = None
    ) -> Change:
        """Return the change of a deleted document; `known` has its id and version if nothing else."""
        return Change(self._name, known["_id"], "delete", before, None, known.get("_version"), at, *origin)

    def _decoded(self, raw: RawBSONDocument) -> Document | None:
        """Return the members of a document that was read raw; None for one that cannot be decoded."""
        try:
            return dict(bson.decode(raw.raw, codec_options=self._documents.codec_options))
        except BSONError:
            return None


_EXECUTE: Mapping[type, Callable[[Writes, Any], Awaitable[Written]]] = {
    Create: Writes._create,  # noqa: SLF001  # of this module
    CreateMany: Writes._create_many,  # noqa: SLF001
    Update: Writes._update,  # noqa: SLF001
    Upsert: Writes._upsert,  # noqa: SLF001
    Delete: Writes._delete,  # noqa: SLF001
    UpdateMany: Writes._update_many,  # noqa: SLF001
    DeleteMany: Writes._delete_many,  # noqa: SLF001
    Load: Writes._load,  # noqa: SLF001
    ReleaseOwned: Writes._release_owned,  # noqa: SLF001
    Clear: Writes._clear,  # noqa: SLF001
}


def _at_version(present: Document) -> Node:
    """Return the condition that a document is still at the version that it had when it was read."""
    return Compare(("_version",), "eq", present.get("_version"))


def _under(documents: Sequence[Document], made: Iterable[Any]) -> list[Document]:
    """Return documents with ids that were made for those that have none."""
    ids = iter(made)
    return [each if "_id" in each else {"_id": next(ids), **each} for each in documents]


def _watched(group: list[Waiting[Update]]) -> set[str]:
    """Return the names of the members whose new values the database alone may judge."""
    by_change = (name for each in group for name in each.plan.change.watched())
    return {*member_names(group[0].plan.where), *by_change}


def _is_same(one: Node | None, other: Node | None) -> bool:
    """Return whether two conditions are one: true equals 1 in Python, and not in a rule."""
    return one is other or (one == other and repr(one) == repr(other))
