"""Comparisons of a stored time with now, by the clock of the database, within one of its operations."""

from typing import Any

_NOW = {"$toLong": "$$NOW"}
"""As a number, because SecantusDB takes no date for later than `$$NOW`."""


def is_past(moment: str) -> dict[str, Any]:
    """Return the expression that the time of a field (`"$expires_at"`) is over, or that there is none."""
    return {"$lte": [{"$toLong": moment}, _NOW]}


def is_to_come(moment: str) -> dict[str, Any]:
    """Return the expression that the time of a field (`"$expires_at"`) is later than now."""
    return {"$gt": [{"$toLong": moment}, _NOW]}


def until(moment: str) -> dict[str, Any]:
    """Return the expression of the milliseconds until the time of a field, null where there is none."""
    return {"$subtract": [{"$toLong": moment}, _NOW]}
