"""Watching for slow queries: each shape is logged once a minute, with its plan and the index it lacks."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import structlog

from service.collections.registry import Registry
from service.kit.errors import Failure
from service.kit.lru import LruTable
from service.kit.tasks import background
from service.query.mongo import shape_of as filter_shape
from service.slow_queries import commands, suggestions
from service.slow_queries.commands import Query, command_of
from service.slow_queries.plans import Plan, explain
from service.slow_queries.suggestions import Suggestion, suggest
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.thread_pools import SlowCall

INTERVAL_S = 60.0
"""How often one shape is logged at the most."""

MAXIMUM_SHAPES = 500
"""Shapes that are remembered; of more, those that were logged longest ago are forgotten."""

MAXIMUM_WAITING = 16
"""Queries that may wait to be explained; beyond it they are logged without a plan."""

REST_S = 0.5
"""How long MongoDB is left alone after each explanation."""

log = structlog.get_logger("sheaf.queries")


@dataclass(slots=True)
class _Seen:
    """What is known of one shape: when it was logged last, and what was slow since."""

    logged_at_s: float
    count: int = 0
    longest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Slow:
    query: Query
    shape: str
    took_s: float
    about: Mapping[str, Any]


class SlowQueries:
    """Logs what takes MongoDB `threshold_s` seconds or more on documents' collections.

    `note` may be called by any thread. The plan is asked for in the background, one at a time.
    """

    def __init__(self, database: Database, registry: Registry, threshold_s: float) -> None:
        self.threshold_s = threshold_s
        self._database = database
        self._registry = registry
        self._seen: LruTable[str, _Seen] = LruTable(MAXIMUM_SHAPES)
        self._lock = Lock()
        self._waiting: asyncio.Queue[_Slow] = asyncio.Queue(MAXIMUM_WAITING)
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Explain and log what is slow until the context ends."""
        self._loop = asyncio.get_running_loop()
        pools = self._database.pools
        pools.slow_s, pools.on_slow = self.threshold_s, self._note_call
        async with background(self._run(), "slow queries"):
            try:
                yield
            finally:
                pools.slow_s, pools.on_slow, self._loop = math.inf, None, None

    def _note_call(self, slow: SlowCall) -> None:
        """Note a call of the driver that was slow, if it says what it asks of MongoDB."""
        try:
            command = command_of(slow.subject)
            if command is not None:
                self.note(command, slow.took_s, **({"requests": slow.size} if slow.size > 1 else {}))
        except Exception:  # the thread has other calls to run
            log.exception("query.not_noted")

    def note(self, command: Mapping[str, Any], took_s: float, **about: Any) -> None:
        """Note a command that was slow, as the driver sent it; what is `about` it is logged with it."""
        query = commands.read(command)
        if query is None or query.collection.startswith(("_", "system.")):
            return
        shape = commands.shape_of(query)
        seen = self._take_turn(shape, took_s)
        loop = self._loop
        if seen is None or loop is None:
            return
        if seen.count > 1:
            about |= {"times": seen.count, "longest_ms": _ms(seen.longest_s)}
        loop.call_soon_threadsafe(self._put, _Slow(query, shape, took_s, about))

    def _take_turn(self, shape: str, took_s: float) -> _Seen | None:
        """Count a slow query; returns what has come of its shape since the last line, if one is due."""
        now_s = time.monotonic()
        with self._lock:
            seen = self._seen.get(shape)
            if seen is None:
                seen = _Seen(now_s - INTERVAL_S)
                self._seen.put(shape, seen)
            seen.count += 1
            seen.longest_s = max(seen.longest_s, took_s)
            if now_s - seen.logged_at_s < INTERVAL_S:
                return None
            self._seen.put(shape, _Seen(now_s))
            return seen

    def _put(self, slow: _Slow) -> None:
        try:
            self._waiting.put_nowait(slow)
        except asyncio.QueueFull:
            _write(slow, None, [], "")

    async def _run(self) -> None:
        while True:
            slow = await self._waiting.get()
            try:
                await self._explain(slow)
            except Exception:
                log.exception("query.not_explained", collection=slow.query.collection)
            await asyncio.sleep(REST_S)

    async def _explain(self, slow: _Slow) -> None:
        plan = await explain(self._database, slow.query, slow.took_s)
        lacking: list[Suggestion] = []
        source = ""
        if plan is not None and plan.lacks_index:
            try:
                collection = self._registry.get(slow.query.collection)
                present = suggestions.present_indexes(await collection.documents.index_information())
                lacking = suggest(slow.query, present, suggestions.suggested_index(collection))
                source = collection.source
            except (DatabaseError, Failure):  # the plan alone is worth its line
                lacking = []
        _write(slow, plan, lacking, source)


def _write(slow: _Slow, plan: Plan | None, lacking: list[Suggestion], source: str) -> None:
    query = slow.query
    line: dict[str, Any] = {
        "collection": query.collection,
        "operation": query.operation,
        "duration_ms": _ms(slow.took_s),
        "filter": filter_shape(query.where)[: commands.SHAPE_CHARACTERS],
    }
    if query.sort != ():
        line["sort"] = commands.written_sort(query.sort)
    if plan is not None:
        figures = {
            "documents_examined": plan.documents_examined,
            "keys_examined": plan.keys_examined,
            "returned": plan.returned,
        }
        line["plan"] = plan.text
        line |= {name: value for name, value in figures.items() if value is not None}
    if lacking:
        line["missing_indexes"] = [suggestions.written(each.keys, source) for each in lacking]
        if replaced := sorted({name for each in lacking for name in each.replaces}):
            line["superfluous_then"] = replaced
    log.warning("query.slow", **line, **slow.about)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
