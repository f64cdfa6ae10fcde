"""The documents of one collection, and the one way to them: reads, counts and writes by plans."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

import bson
import pymongo
from beanie import Document as Model
from bson import Timestamp
from bson.errors import InvalidBSON
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from service.kit.errors import Busy, DatabaseUnavailable, ParameterInvalid, Violation
from service.query import keyset
from service.query.limits import MAXIMUM_ESTIMATED
from service.query.mongo import Filter, of_document, to_mongo
from service.query.tree import Node
from service.runtime import deadline
from service.storage.batched_lists import BatchedLists
from service.storage.batched_reads import BatchedReads
from service.storage.batcher import SpanInfo
from service.storage.codes import (
    AMBIGUOUS_SORT,
    BAD_VALUE,
    FIRST_ASSERTION,
    INDEX_NOT_FOUND,
    MEMORY_EXCEEDED,
    RESULT_TOO_LARGE,
    RETRYABLE,
    UNFIT_VALUES,
)
from service.storage.database import Database, pools_of, timed
from service.storage.pages import Document, Reader, Slice, Total, slice_of
from service.storage.plans import PipelinePlan, ReadPlan, ReadRefused, Reason, WritePlan, Written
from service.storage.raw_bson import CODEC
from service.storage.single_flight import SingleFlight
from service.storage.transactions import delegate_session, session
from service.storage.writes import Writes

Stored = bytes | Document
"""A stored document, in BSON as MongoDB has it, or decoded."""

PIPELINE_BATCH = 100
"""Documents that a pipeline's answer brings at once."""

SNAPSHOT_BATCH = 500
"""Documents that a snapshot reads at once."""

COUNT_TIMEOUT_S = 2.0
"""How long counting may take: less than an operation, so that there is time to say that it was too long."""


class Store:
    """The documents of one collection.

    Whatever is read or written joins the transaction of the present task, if there is one. Outside of one,
    reads share queries with others that wait at the same time.
    """

    __slots__ = (
        "_batched_lists",
        "_batched_reads",
        "_flights",
        "_pools",
        "_span_info",
        "_writes",
        "documents",
    )

    def __init__(self, documents: Any) -> None:
        self.documents = documents
        self._pools = pools_of(documents)
        self._span_info = SpanInfo.of("find", documents)
        self._batched_reads = BatchedReads(documents)
        self._batched_lists = self._pools.once(BatchedLists)
        self._flights = self._pools.once(SingleFlight)
        self._writes = Writes(documents, self.find)

    @classmethod
    def of(cls, model: type[Model]) -> "Store":
        """Open the store of a document class."""
        return cls(model.get_motor_collection().with_options(codec_options=CODEC))

    @classmethod
    def named(cls, database: Database, name: str) -> "Store":
        """Open the store of a collection, which may not be there yet."""
        return cls(database.motor[name].with_options(codec_options=CODEC))

    async def get(self, document_id: Any, where: Node | None = None) -> Stored | None:
        """Read the document of an id, None when there is none that fulfils the condition."""
        if where is None and session() is None:
            return await self._batched_reads.get_raw(document_id)
        criteria = of_document(document_id, where)
        find = partial(self.documents.delegate.find_one, criteria, session=delegate_session())
        found: Document | None = await self._pools.quick.run(find)
        return found

    async def find(self, document_id: Any, where: Node | None = None) -> Document | None:
        """Read the document of an id as `get` does, decoded; raises InvalidBSON."""
        stored = await self.get(document_id, where)
        return None if stored is None else decoded(stored)

    async def get_many(self, ids: Sequence[Any], where: Node | None = None) -> AsyncGenerator[Document, None]:
        """Read the documents of some ids that fulfil the condition, in no order; for `aclosing`."""
        cursor = self.documents.find(
            of_document({"$in": [*ids]}, where), batch_size=len(ids), session=session()
        )
        try:
            async for document in cursor:
                yield document
        except GeneratorExit:  # enough of them were read
            await cursor.close()
            raise

    async def snapshot(
        self, where: Filter, *, after: Timestamp, limit: int, beyond: Any = None
    ) -> AsyncGenerator[list[Document], None]:
        """Read what fulfils a filter as it was at a cluster time or later, batch by batch; for `aclosing`.

        In the order of ids, from the first one or the first beyond an id, at most `limit` + 1 documents.
        Whoever has all changes after that time misses nothing. Raises InvalidBSON, and what the driver does.
        """
        run = self._pools.scans.run
        begin = partial(_snapshot, self.documents.delegate, where, after, limit + 1, beyond)
        opened, cursor = await run(begin)
        try:
            while batch := await run(partial(_next, cursor)):
                yield batch
        finally:
            with suppress(Busy, DatabaseUnavailable):  # MongoDB ends by itself what it is not told to
                await asyncio.shield(run(partial(_end_snapshot, opened, cursor)))

    async def count_up_to(self, where: Filter, limit: int) -> int:
        """Count what fulfils a filter, no further than `limit`."""
        count = partial(self.documents.delegate.count_documents, where, limit=limit)
        return int(await self._pools.scans.run(count))

    async def aggregate(self, plan: PipelinePlan, write: Callable[[Document], bytes]) -> list[bytes]:
        """Run a pipeline and write its documents one by one, so that no more than the answer is in memory.

        Raises ReadRefused for an answer of more than `limit_bytes` and what the pipeline cannot do with the
        documents, and what the driver raises.
        """
        command = {"aggregate": plan.collection, "pipeline": plan.stages}
        written: list[bytes] = []
        size = 0
        try:
            with pymongo.timeout(deadline.at_most_s(plan.time_limit_s)), timed(self.documents, command):
                cursor = self.documents.aggregate(
                    plan.stages, allowDiskUse=False, batchSize=PIPELINE_BATCH, session=session()
                )
                async for document in cursor:
                    written.append(write(document))
                    size += len(written[-1]) + 1
                    if size > plan.limit_bytes:
                        await cursor.close()
                        raise ReadRefused("answer_too_large")
        except InvalidBSON:  # a time beyond the year 9999
            raise ReadRefused("unfit_value") from None
        except OperationFailure as error:
            reason = _pipeline_reason(error)
            if reason is None:
                raise
            raise ReadRefused(reason) from None
        return written

    async def estimated_count(self) -> int:
        """Return the number of documents as MongoDB keeps it, which may be wrong after a crash."""
        return int(await self.documents.estimated_document_count())

    async def count(self, where: Node | None = None) -> int:
        """Count the documents that fulfil a condition one by one."""
        return int(await self.documents.count_documents({} if where is None else to_mongo(where)))

    async def is_empty(self) -> bool:
        """Return whether there is no document."""
        return await self.documents.find_one({}, {"_id": 1}) is None

    async def indexes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what MongoDB knows of each index, by its name."""
        described: Mapping[str, Mapping[str, Any]] = await self.documents.index_information()
        return described

    async def create_index(
        self, name: str, keys: Sequence[tuple[str, Any]], options: Mapping[str, Any]
    ) -> None:
        """Build an index, however long it takes; raises DuplicateKey, and CommandFailed for a wrong one."""
        await self.documents.create_index(list(keys), name=name, **options)

    async def drop_index(self, name: str) -> None:
        """Drop an index; raises DatabaseError."""
        await self.documents.drop_index(name)

    def write(self, plan: WritePlan) -> Awaitable[Written]:
        """Write by a plan; returns what it changed. Raises what `Writes.execute` raises."""
        return self._writes.execute(plan)

    async def read(self, plan: ReadPlan) -> Slice[Any]:
        """Read the page of a plan, and count what the plan wants counted.

        Raises ReadRefused, ParameterInvalid for an exact count that takes too long, and what the driver
        raises.
        """
        try:
            if plan.count is None:
                return await self._page(plan)
            return await self._counted_page(plan)
        except OperationFailure as error:
            reason = _reason(plan, error)
            if reason is None:
                raise
            raise ReadRefused(reason) from None

    async def _page(self, plan: ReadPlan) -> Slice[Any]:
        """Read in a thread; together with others, outside of transactions."""
        documents = self.documents.delegate
        in_transaction = session() is not None
        if plan.command is not None and not in_transaction:
            found = await self._batched_lists.read(documents, plan.command, self._span_info)
            page = slice_of(plan, found, CODEC)
            if page is not None:
                return page
        pool = self._pools.lists if plan.search is None else self._pools.scans
        reader = Reader(documents, plan)
        key = None if in_transaction else reader.key()
        if key is None:
            return await pool.run(partial(reader.read))
        return await self._flights.run(pool, (documents.full_name, key), partial(reader.read))

    async def _counted_page(self, plan: ReadPlan) -> Slice[Any]:
        """Read and count at the same time, but not in a transaction, which does one thing after the other."""
        if session() is not None:
            page = await self._page(plan)
            total = await self.total(plan)
        else:
            tasks = (asyncio.ensure_future(self._page(plan)), asyncio.ensure_future(self.total(plan)))
            try:
                page, total = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        if total is None and plan.count == "exact":
            raise _too_slow()
        if total is None:
            before = plan.skip if page.documents else 0
            total = Total(before + len(page.documents) + page.has_more, "at_least")
        page.total = total
        return page

    async def total(self, plan: ReadPlan) -> Total | None:
        """Count the documents of a plan's list; None when that takes too long.

        An estimate without a filter is the number that MongoDB keeps; with one it is exact up to a bound.
        """
        where, pools = plan.condition(), self._pools
        documents = self.documents.delegate
        try:
            # also of the time until a thread is free
            with pymongo.timeout(deadline.at_most_s(COUNT_TIMEOUT_S)):
                if plan.count == "exact":
                    return Total(await pools.scans.run(partial(_counted, documents, where)), "exact")
                if not where and session() is None:  # MongoDB's own number is not to be had in transactions
                    number = await pools.lists.run(documents.estimated_document_count)
                    return Total(number, "estimated")
                counted = await pools.scans.run(partial(_counted, documents, where, MAXIMUM_ESTIMATED + 1))
        except PyMongoError as error:
            if error.timeout:
                return None
            raise
        if counted <= MAXIMUM_ESTIMATED:
            return Total(counted, "exact")
        return Total(MAXIMUM_ESTIMATED, "at_least")


def decoded(stored: Stored) -> Document:
    """Return the members of a stored document; raises InvalidBSON."""
    if isinstance(stored, dict):
        return stored
    document: Document = bson.decode(stored, codec_options=CODEC)
    return document


def _snapshot(documents: Any, where: Filter, after: Timestamp, count: int, beyond: Any) -> tuple[Any, Any]:
    """Begin to read a snapshot; returns its session and its cursor."""
    parts = [where] if where else []
    if beyond is not None:
        parts += keyset.none_of(keyset.below_value("_id", beyond, or_equal=True))
    opened = documents.database.client.start_session(causal_consistency=True)
    opened.advance_operation_time(after)
    cursor = documents.with_options(read_concern=ReadConcern("majority")).find(
        {"$and": parts} if parts else {},
        sort=[("_id", 1)],
        limit=count,
        batch_size=min(count, SNAPSHOT_BATCH),
        session=opened,
    )
    return opened, cursor


def _next(cursor: Any) -> list[Document]:
    """Read the next documents of a snapshot, none when that was all."""
    return list(islice(cursor, SNAPSHOT_BATCH))


def _end_snapshot(opened: Any, cursor: Any) -> None:
    with suppress(PyMongoError):
        cursor.close()
    opened.end_session()


def _counted(documents: Any, where: Filter, limit: int | None = None) -> int:
    bound = {} if limit is None else {"limit": limit}
    return int(documents.count_documents(where, session=delegate_session(), **bound))


def _too_slow() -> ParameterInvalid:
    """Return the refusal of an exact count that takes too long, whatever a client would wait."""
    violation = Violation(
        "counting exactly takes too long here",
        "too_slow",
        parameter="count",
        hint="Ask for `count=estimated`, or narrow the filter to what an index finds.",
    )
    return ParameterInvalid(violation.detail, hint=violation.hint, errors=[violation])


def _reason(plan: ReadPlan, error: OperationFailure) -> Reason | None:
    """Return why MongoDB refused a plan, None when it is no matter of the plan."""
    sorted_by = [path for path, direction in plan.order.keys if path != "_id" and isinstance(direction, int)]
    if error.code == BAD_VALUE and len(sorted_by) > 1:
        return "parallel_arrays"
    if error.code == AMBIGUOUS_SORT and sorted_by:
        return "ambiguous_sort"
    is_without_search = error.code == BAD_VALUE and plan.search is not None  # the substitute's answer
    if error.code == INDEX_NOT_FOUND or is_without_search:
        return "no_text_index"
    return None


def _pipeline_reason(error: OperationFailure) -> Reason | None:
    """Return why MongoDB refused a pipeline, None when it is no matter of the pipeline."""
    code = error.code
    if code is None or error.timeout or error.has_error_label(RETRYABLE):
        return None
    if code in RESULT_TOO_LARGE:
        return "document_too_large"
    if code in MEMORY_EXCEEDED:
        return "memory_exceeded"
    return "unfit_value" if code in UNFIT_VALUES or code >= FIRST_ASSERTION else None
