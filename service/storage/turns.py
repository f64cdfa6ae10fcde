"""Changes of one document in each worker: those who would race are served together, group after group."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from service.kit.backoff import Backoff
from service.kit.errors import Busy

MAXIMUM_WAITING = 10_000
"""Changes of one collection that may wait; beyond it they are refused at once."""

RETRY = Backoff(0.002, 0.1)
"""How long a change waits before it is tried again."""

Asked = TypeVar("Asked")


@dataclass(slots=True, eq=False)
class Waiting(Generic[Asked]):
    """What somebody asked for, and the future in which they wait for the outcome."""

    asked: Asked
    future: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: Any) -> None:
        """Tell the outcome, unless nobody waits any more."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Turns(Generic[Asked]):
    """What waits, by what it is for: while some are served, arrivals wait, and are served together next."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Waiting[Asked]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def take(
        self,
        key: Hashable,
        asked: Asked,
        serve: Callable[[list[Waiting[Asked]]], Awaitable[list[Waiting[Asked]]]],
    ) -> Any:
        """Have what is asked served with all else that waits for the same key; gives or raises its outcome.

        `serve` settles those of its list that it serves, and gives back the others. It runs in a task of its
        own, so that one who gives up takes nobody along. Raises Busy.
        """
        if self._count >= MAXIMUM_WAITING:
            raise Busy
        waiting = Waiting(asked)
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = [waiting]
            task = asyncio.create_task(self._serve(key, serve), name="changes of one document")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            queue.append(waiting)
        self._count += 1
        try:
            return await waiting.future
        finally:
            self._count -= 1

    async def _serve(
        self, key: Hashable, serve: Callable[[list[Waiting[Asked]]], Awaitable[list[Waiting[Asked]]]]
    ) -> None:
        """Serve all that waits for a key, until nothing does."""
        while self._waiting[key]:
            batch, self._waiting[key] = self._waiting[key], []
            try:
                left = await serve(batch)
            except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
                for waiting in batch:
                    waiting.settle(error)
            else:
                self._waiting[key][:0] = left
        del self._waiting[key]
