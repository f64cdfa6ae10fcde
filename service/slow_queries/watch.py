"""Watching for slow queries: each shape is logged once a minute, with its plan and the index it lacks."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping
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
from service.slow_queries.suggestions import Suggestion, suggest
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.thread_pools import SlowCall

MAXIMUM_STAGES = 12
"""Stages that are named in a short form."""

_UNREMARKABLE = frozenset(
    {
        *("LIMIT", "SKIP", "PROJECTION", "PROJECTION_SIMPLE", "PROJECTION_DEFAULT", "PROJECTION_COVERED"),
        *("FETCH", "SUBPLAN", "SINGLE_SHARD", "SHARD_MERGE", "SHARDING_FILTER", "CACHED_PLAN", "GROUP"),
        *("UPDATE", "DELETE", "RETURN_KEY", "SORT_KEY_GENERATOR", "COUNT", "EQ_LOOKUP", "UNIQUE"),
    }
)
_EXAMINED_FACTOR, _EXAMINED_MINIMUM = 10, 100
"""How many times what it returns a query may examine, and how much in any case, before that is too much."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan that MongoDB chose, in short, and what running it took, as far as that was measured."""

    text: str
    scans_collection: bool
    sorts_in_memory: bool
    documents_examined: int | None = None
    keys_examined: int | None = None
    returned: int | None = None

    @property
    def examines_too_much(self) -> bool:
        """Whether it looks at far more documents than it finds."""
        if self.documents_examined is None or self.returned is None:
            return False
        return self.documents_examined > _EXAMINED_MINIMUM + _EXAMINED_FACTOR * self.returned

    @property
    def lacks_index(self) -> bool:
        """Whether another index might serve the query better."""
        return self.scans_collection or self.sorts_in_memory or self.examines_too_much


def read(answer: Mapping[str, Any]) -> Plan:
    """Read the answer to `explain`, of a `find` or a pipeline, of either engine, of one server or of shards.

    >>> winning = {"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "year_1"}}
    >>> read({"queryPlanner": {"winningPlan": winning}}).text
    'IXSCAN year_1'
    """
    stages = [stage for plan in _winning(answer) for stage in _stages(plan)]
    words = [word for stage in stages if (word := _word(stage)) is not None]
    names = {str(stage["stage"]) for stage in stages}
    sorts = "SORT" in names or _has_stage(answer, "$sort")
    if sorts and "SORT" not in names:
        words.insert(0, "SORT in memory")
    figures = _figures(answer)
    return Plan(
        text=" < ".join(list(dict.fromkeys(words))[:MAXIMUM_STAGES]) or "nothing to read",
        scans_collection="COLLSCAN" in names,
        sorts_in_memory=sorts,
        documents_examined=_total(figures, "totalDocsExamined"),
        keys_examined=_total(figures, "totalKeysExamined"),
        returned=_total(figures, "nReturned"),
    )


def _word(stage: Mapping[str, Any]) -> str | None:
    name = str(stage["stage"])
    if name in _UNREMARKABLE:
        return None
    if name == "SORT":
        return "SORT in memory"
    index = stage.get("indexName")
    return name if index is None else f"{name} {index}"


def _winning(answer: Any) -> Iterator[Mapping[str, Any]]:
    """Find the winning plans, wherever a server puts them: below the stages of a pipeline, or of shards."""
    if isinstance(answer, Mapping):
        plan = answer.get("winningPlan")
        if isinstance(plan, Mapping) and "shards" not in plan:
            yield plan.get("queryPlan", plan)
            return
        for name, part in answer.items():
            if name not in {"rejectedPlans", "executionStats", "command"}:
                yield from _winning(part)
    elif isinstance(answer, list):
        for part in answer:
            yield from _winning(part)


def _stages(plan: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(plan, Mapping):
        if "stage" in plan:
            yield plan
        for name, part in plan.items():
            if name not in {"filter", "indexBounds", "keyPattern", "slotBasedPlan"}:
                yield from _stages(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from _stages(part)


def _has_stage(answer: Mapping[str, Any], name: str) -> bool:
    """Return whether a pipeline has a stage of its own, which the plan of its beginning does not do."""
    return any(name in stage for stage in answer.get("stages", ()))


def _figures(answer: Any) -> list[Mapping[str, Any]]:
    if isinstance(answer, Mapping):
        figures = answer.get("executionStats")
        if isinstance(figures, Mapping):
            return [figures]
        return [each for part in answer.values() for each in _figures(part)]
    if isinstance(answer, list):
        return [each for part in answer for each in _figures(part)]
    return []


def _total(figures: list[Mapping[str, Any]], name: str) -> int | None:
    counts = [each[name] for each in figures if name in each]
    return sum(counts) if counts else None


EXAMINE_S = 1.0
"""A read that took no longer is run once more, for at most so long, to count what it examines."""

PLAN_S = 1.0
"""How long MongoDB may think about a plan."""


async def explain(database: Database, query: Query, took_s: float) -> Plan | None:
    """Return the plan of a query, outside of its transaction; None where there is none to be had.

    Writes are never run: `executionStats` would only count, but it takes locks.
    """
    if query.explained is None:
        return None
    if query.is_read and took_s <= EXAMINE_S:
        plan = await _explain(database, query.explained, "executionStats", EXAMINE_S)
        if plan is not None:
            return plan
    return await _explain(database, query.explained, "queryPlanner", PLAN_S)


async def _explain(
    database: Database, command: Mapping[str, Any], verbosity: str, timeout_s: float
) -> Plan | None:
    try:
        return read(await database.explain(command, verbosity, timeout_s))
    except DatabaseError:
        return None


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
