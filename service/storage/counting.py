"""Counting what a list would give in all: exactly, or as well as can be told at a bounded cost."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pymongo
from pymongo.errors import PyMongoError

from service.kit.errors import ParameterInvalid, Violation
from service.query.limits import MAXIMUM_ESTIMATED
from service.query.lists import Count
from service.query.mongo import Filter
from service.runtime import deadline
from service.storage.database import calls_of
from service.storage.transactions import delegate_session, session

TIMEOUT_S = 2.0
"""How long counting may take: less than an operation, so that there is time to say that it was too long."""


@dataclass(frozen=True, slots=True)
class Total:
    """How many documents there are, and how sure that is: `at_least` means that there may be more."""

    number: int
    count: Literal["exact", "estimated", "at_least"]


async def total(documents: Any, where: Filter, count: Count) -> Total | None:
    """Count the documents of a driver's collection that fulfil a filter; None when that takes too long.

    An estimate without a filter is the number that MongoDB keeps; with one it is exact up to a bound.
    """
    calls = calls_of(documents)
    try:
        with pymongo.timeout(deadline.at_most_s(TIMEOUT_S)):  # also of the time until a thread is free
            if count == "exact":
                counted = await calls.scans.run(partial(_counted, documents, where))
                return Total(counted, "exact")
            if not where and session() is None:  # MongoDB's own number is not to be had in transactions
                number = await calls.lists.run(documents.delegate.estimated_document_count)
                return Total(number, "estimated")
            found = await calls.scans.run(partial(_counted, documents, where, MAXIMUM_ESTIMATED + 1))
    except PyMongoError as error:
        if error.timeout:
            return None
        raise
    if found <= MAXIMUM_ESTIMATED:
        return Total(found, "exact")
    return Total(MAXIMUM_ESTIMATED, "at_least")


def _counted(documents: Any, where: Filter, limit: int | None = None) -> int:
    bound = {} if limit is None else {"limit": limit}
    return int(documents.delegate.count_documents(where, session=delegate_session(), **bound))


def too_slow() -> ParameterInvalid:
    """Give the refusal of an exact count that takes too long, whatever a client would wait."""
    violation = Violation(
        "counting exactly takes too long here",
        "too_slow",
        parameter="count",
        hint="Ask for `count=estimated`, or narrow the filter to what an index finds.",
    )
    return ParameterInvalid(violation.detail, hint=violation.hint, errors=[violation])
