"""The transaction that the present task works in: whatever the engine reads and writes joins it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from beanie import Document

_present: ContextVar[Any] = ContextVar("transaction", default=None)


def session() -> Any:
    """Return the driver's session of the present transaction, None outside of one."""
    return _present.get()


def delegate_session() -> Any:
    """Return the present transaction's session for synchronous calls, None outside of one."""
    opened = _present.get()
    return None if opened is None else opened.delegate


def collection_of(model: type[Document]) -> Any:
    """Return the driver's collection of a class, as the present transaction can use it.

    Where applications share a process, a class belongs to the last that began, a transaction to its own.
    """
    collection, opened = model.get_motor_collection(), session()
    if opened is None:
        return collection
    return opened.client[collection.database.name][collection.name]


@contextmanager
def within(opened: Any) -> Iterator[None]:
    """Have everything that this task does meanwhile join the transaction of a session."""
    token = _present.set(opened)
    try:
        yield
    finally:
        _present.reset(token)
