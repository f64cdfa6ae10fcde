"""A table of what was used last."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruTable(Generic[Key, Value]):
    """At most `maximum` values by key, and at most `maximum_bytes` of them; the least recently used leave.

    The last value stays, however large it is. Several threads may `peek`, `put` and `pop`.
    """

    __slots__ = ("_kept", "_maximum", "_maximum_bytes", "_size_bytes", "_size_of")

    def __init__(
        self, maximum: int, *, maximum_bytes: float = math.inf, size_of: Callable[[Value], int] | None = None
    ) -> None:
        self._maximum = maximum
        self._maximum_bytes = maximum_bytes
        self._size_of = size_of
        self._size_bytes = 0
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, which is then the most recently used."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def peek(self, key: Key) -> Value | None:
        """Return the value of a key without using it."""
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Set the value of a key, the most recently used from now on; drop what there is no room for."""
        self.pop(key)
        self._kept[key] = value
        if self._size_of is not None:
            self._size_bytes += self._size_of(value)
        while len(self._kept) > 1 and (
            len(self._kept) > self._maximum or self._size_bytes > self._maximum_bytes
        ):
            self._forget(self._kept.popitem(last=False)[1])

    def pop(self, key: Key) -> Value | None:
        """Remove a key and return its value, None when there is none."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._forget(found)
        return found

    def _forget(self, value: Any) -> None:
        if self._size_of is not None:
            self._size_bytes -= self._size_of(value)
