"""Plans of queries, asked for at a bounded cost, and whether an index is missing by them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.slow_queries.commands import Query
from service.storage.database import Database
from service.storage.errors import DatabaseError

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
