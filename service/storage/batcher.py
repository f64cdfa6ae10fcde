"""Many different questions, one call: what waits for a thread when the thread is free goes as a batch."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from service.kit.errors import Busy
from service.runtime import database_time, deadline
from service.runtime.tracing import Attributes, span
from service.storage.thread_pools import ThreadPool, Work, within

MAXIMUM_WAITING = 10_000
"""Of one kind, how many may wait for an outcome; beyond it they are refused at once."""

MAXIMUM_BATCH = 500
"""How many share one query or one insert."""

MAXIMUM_BATCH_BYTES = 4 * 1024 * 1024
"""How large the documents of one insert are together; one may be larger, and then goes alone."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Waiting(NamedTuple, Generic[Question, Answer]):
    """What somebody asked for, and the future in which they wait for the outcome until their time is over."""

    question: Question
    future: "asyncio.Future[Answer]"
    ends_at_s: float
    size_bytes: int


class SpanInfo(NamedTuple):
    """What traces say of an operation on one collection that is part of a batch."""

    name: str
    attributes: Attributes

    @classmethod
    def of(cls, operation: str, documents: Any) -> "SpanInfo":
        """Make it for what MongoDB calls the operation, and a collection of the driver's."""
        attributes: Attributes = {
            "db.system.name": "mongodb",
            "db.operation.name": operation,
            "db.namespace": documents.database.name,
            "db.collection.name": documents.name,
            "sheaf.joined": True,
        }
        return cls(f"{operation} {documents.name}", attributes)


class Batcher(ABC, Generic[Question, Answer]):
    """Questions of many at once, answered by one call; without delay when idle.

    A question only ever joins a call that has not begun, so that each call begins after the arrival of all
    that it answers. Questions wait outside of threads: those that nobody waits for any more are dropped.
    """

    maximum_batch = MAXIMUM_BATCH
    """How many one call serves."""

    def __init__(self, pool: ThreadPool, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._pool = pool
        self._waiting: deque[Waiting[Question, Answer]] = deque()
        self._count = 0
        self._is_announced = False

    @abstractmethod
    def serve(self, questions: Sequence[Question]) -> Iterable[Answer | Exception]:
        """Answer all questions, in a thread; returns the outcome of each, or raises that of all."""

    @abstractmethod
    def command(self, questions: Sequence[Question]) -> Mapping[str, Any] | None:
        """Return MongoDB's command for all questions, for the log of slow ones; None for several commands."""

    async def ask(self, question: Question, span_info: SpanInfo, size_bytes: int = 0) -> Answer:
        """Wait until one call has served this and all that waits with it.

        Returns its own outcome; raises Busy, and what came of it.
        """
        if self._count >= MAXIMUM_WAITING:
            raise Busy
        loop = self._pool.loop
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append(Waiting(question, future, deadline.ends_at_s(), size_bytes))
        if not self._is_announced:
            self._is_announced = True  # before there is something to take, for a thread may be quicker
            loop.call_soon(self._announce)  # when all that has just come has been looked at: it goes together
        self._count += 1
        try:
            # here, for a thread serves many requests at once
            with span(span_info.name, "client", span_info.attributes), database_time.counted():
                return await future
        finally:
            self._count -= 1

    def _announce(self) -> None:
        """Have a thread take all who wait; if none will, tell them."""
        try:
            self._pool.put(_Batch(self))
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self.refuse(error)

    def refuse(self, error: Exception) -> None:
        """Fail all questions that wait, in the event loop."""
        self._is_announced = False
        _refuse(list(self._waiting), error)  # who is told is taken no more
        self._waiting.clear()

    def take(self) -> list[Waiting[Question, Answer]]:
        """Take those who wait, in the thread that is about to serve them."""
        self._is_announced = False  # first, so that whoever comes from now on is taken or announces a batch
        taken: list[Waiting[Question, Answer]] = []
        size_bytes = 0
        try:
            while len(taken) < self.maximum_batch and size_bytes < MAXIMUM_BATCH_BYTES:
                waiting = self._waiting.popleft()
                if not waiting.future.done():
                    taken.append(waiting)
                    size_bytes += waiting.size_bytes
        except IndexError:  # there are no more
            return taken
        if not self._is_announced:
            self._is_announced = True
            self._pool.put_again(_Batch(self))
        return taken


class _Batch(Work, Generic[Question, Answer]):
    """What shares one call: all that waits when it begins."""

    __slots__ = ("_batcher", "_error", "_outcomes", "_taken", "size")

    def __init__(self, batcher: Batcher[Question, Answer]) -> None:
        self._batcher = batcher
        self._taken: list[Waiting[Question, Answer]] = []
        self._outcomes: Iterable[Answer | Exception] = ()
        self._error: Exception | None = None
        self.size = 0

    @property
    def subject(self) -> Any:
        """What was asked of MongoDB."""
        return self._batcher.command([waiting.question for waiting in self._taken])

    def run(self) -> None:
        """Serve all who wait."""
        batcher = self._batcher
        self._taken = taken = batcher.take()
        self.size = len(taken)
        if not taken:
            return
        try:
            with within(max(waiting.ends_at_s for waiting in taken), batcher.timeout_s):
                self._outcomes = batcher.serve([waiting.question for waiting in taken])
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self._error = error

    def settle(self) -> None:
        """Hand each question its own outcome, in the event loop."""
        if self._error is not None:
            _refuse(self._taken, self._error)
            return
        for waiting, outcome in zip(self._taken, self._outcomes, strict=True):
            future = waiting.future
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Fail the questions of this batch, or else all that wait."""
        if self._taken:
            _refuse(self._taken, error)
        else:
            self._batcher.refuse(error)


def _refuse(waiting: Iterable[Waiting[Any, Any]], error: Exception) -> None:
    for each in waiting:
        if not each.future.done():
            each.future.set_exception(error)
