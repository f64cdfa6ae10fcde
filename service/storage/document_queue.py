"""Changes of one document wait for each other in each worker, and are served together, group after group."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from service.kit.errors import Busy
from service.kit.tasks import Backoff

MAXIMUM_WAITING = 10_000
"""Changes of one collection that may wait; beyond it they are refused at once."""

RETRY = Backoff(0.002, 0.1)
"""The pauses before a write that met another writer is tried again."""

Plan = TypeVar("Plan")


@dataclass(slots=True, eq=False)
class Waiting(Generic[Plan]):
    """A change that waits, and the future of its outcome."""

    plan: Plan
    future: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: Any) -> None:
        """Set the outcome, a result or an error, unless nobody waits for it any more."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


Serve: TypeAlias = Callable[[list[Waiting[Plan]]], Awaitable[list[Waiting[Plan]]]]
"""Settles those of the list that it serves, and returns the others."""


class DocumentQueue(Generic[Plan]):
    """Changes by their document: while some are served, arrivals wait, and are served together next."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Waiting[Plan]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def submit(self, document_id: Hashable, plan: Plan, serve: Serve[Plan]) -> Any:
        """Have a change served with all others that wait for the same document; returns its own outcome.

        `serve` runs in a task of its own, so that a caller who gives up takes nobody along. Raises Busy, and
        the outcome if it is an error.
        """
        if self._count >= MAXIMUM_WAITING:
            raise Busy
        waiting = Waiting(plan)
        queue = self._waiting.get(document_id)
        if queue is None:
            self._waiting[document_id] = [waiting]
            task = asyncio.create_task(self._serve(document_id, serve), name="changes of one document")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            queue.append(waiting)
        self._count += 1
        try:
            return await waiting.future
        finally:
            self._count -= 1

    async def _serve(self, document_id: Hashable, serve: Serve[Plan]) -> None:
        """Serve all changes of a document, until none waits."""
        while self._waiting[document_id]:
            batch, self._waiting[document_id] = self._waiting[document_id], []
            try:
                left = await serve(batch)
            except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
                for waiting in batch:
                    waiting.settle(error)
            else:
                self._waiting[document_id][:0] = left
        del self._waiting[document_id]
