"""The transaction that the present task works in: whatever the engine reads and writes joins it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from service.storage.plans import Change


class _Transaction(NamedTuple):
    session: Any
    changes: list[Change]
    """What has been changed so far, for those who are told once it is committed."""


_present: ContextVar[_Transaction | None] = ContextVar("transaction", default=None)


def session() -> Any:
    """Return the driver's session of the present transaction, None outside of one."""
    present = _present.get()
    return None if present is None else present.session


def delegate_session() -> Any:
    """Return the present transaction's session for synchronous calls, None outside of one."""
    present = _present.get()
    return None if present is None else present.session.delegate


def pending_changes() -> list[Change] | None:
    """Return what the present transaction has changed so far, None outside of one."""
    present = _present.get()
    return None if present is None else present.changes


@contextmanager
def within(opened: Any) -> Iterator[list[Change]]:
    """Have everything that this task does meanwhile join the transaction of a session.

    Yields the list of the documents' changes, which grows.
    """
    transaction = _Transaction(opened, [])
    token = _present.set(transaction)
    try:
        yield transaction.changes
    finally:
        _present.reset(token)
