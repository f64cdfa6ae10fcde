"""Asking MongoDB how it runs a query, at a bounded cost: the service's own work goes first."""

from collections.abc import Mapping
from typing import Any

from service.slow_queries import plans
from service.slow_queries.commands import Query
from service.slow_queries.plans import Plan
from service.storage.database import Database
from service.storage.errors import DatabaseError

EXAMINE_S = 1.0
"""A read that took no longer is run once more, for at most so long, to count what it examines."""

PLAN_S = 1.0
"""How long MongoDB may think about a plan."""


async def explain(database: Database, query: Query, took_s: float) -> Plan | None:
    """Give the plan of a query, outside of its transaction; None where there is none to be had.

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
        return plans.read(await database.explain(command, verbosity, timeout_s))
    except DatabaseError:
        return None
