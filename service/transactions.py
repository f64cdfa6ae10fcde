"""The transaction that the present task works in: whatever the engine reads and writes joins it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_present: ContextVar[Any] = ContextVar("transaction", default=None)


def session() -> Any:
    """Give the driver's session of the present transaction, None outside of one; each operation takes it."""
    return _present.get()


@contextmanager
def within(opened: Any) -> Iterator[None]:
    """Have everything that this task does meanwhile join the transaction of a session."""
    token = _present.set(opened)
    try:
        yield
    finally:
        _present.reset(token)
