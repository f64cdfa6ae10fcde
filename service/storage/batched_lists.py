"""Lists that share a query, as long as none of them takes MongoDB long."""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple

import pymongo
from pymongo.errors import NetworkTimeout, OperationFailure, ServerSelectionTimeoutError

from service.kit.lru import LruTable
from service.storage import commands
from service.storage.batcher import Batcher, SpanInfo
from service.storage.commands import Find
from service.storage.single_flight import SingleFlight
from service.storage.thread_pools import ThreadPools

MAXIMUM_TOGETHER = 16
"""Lists that share a query: each waits for all of them."""

TOGETHER_S = 0.15
"""How long they may take together before each is read alone."""

SLOWISH_S = 0.005
"""A list that takes so long is counted as slow; so often as STRIKES, it is read alone from then on.

MongoDB reads one after the other of those that share a query, and might do several of these at once.
"""

SLOW_S = 0.05
"""A list that takes so long is read alone at once, until MAXIMUM_STRIKES - STRIKES reads of it were quick."""

STRIKES, MAXIMUM_STRIKES = 3, 12

LARGE_BYTES = 512 * 1024
"""A list of so much shares no query either: together they must fit into one answer of MongoDB's."""

MAXIMUM_KNOWN = 1024
"""Slow lists that are remembered, by their shapes."""

ALONE: Final = None
"""The outcome of a list that is to be read alone."""


class _Question(NamedTuple):
    documents: Any
    """The driver's synchronous collection."""

    find: Find


class BatchedLists(Batcher[_Question, list[bytes] | None]):
    """Lists of all collections on one connection, never stale.

    Those that come while all threads are at work are read together. One that turns out to be slow holds the
    others up, for a bounded time; then lists of its shape are read alone, until most of them are quick.
    """

    maximum_batch = MAXIMUM_TOGETHER

    def __init__(self, pools: ThreadPools) -> None:
        super().__init__(pools.lists, pools.timeout_s)
        self._flights = pools.once(SingleFlight)
        self._strikes: LruTable[str, int] = LruTable(MAXIMUM_KNOWN)

    async def read(self, documents: Any, find: Find, span_info: SpanInfo) -> list[bytes]:
        """Read documents of a synchronous collection as BSON; raises Busy, and what the driver raises."""
        if (self._strikes.peek(find.shape) or 0) < STRIKES:
            found = await self.ask(_Question(documents, find), span_info)
            if found is not ALONE:
                return found
        return await self._flights.run(self._pool, find.key(), partial(self.alone, documents, find))

    def command(self, questions: Sequence[_Question]) -> Mapping[str, Any] | None:
        """Return the command of one list; several that are slow together are read again, each alone."""
        return questions[0].find.command() if len(_different(questions)) == 1 else None

    def serve(self, questions: Sequence[_Question]) -> list[list[bytes] | Exception | None]:
        """Read lists; those who ask for the same share what they get."""
        different = _different(questions)
        if len(different) == 1:
            return [self.alone(*questions[0])] * len(questions)
        began_s = perf_counter()
        try:
            with pymongo.timeout(TOGETHER_S):
                together = commands.together(questions[0].documents, list(different.values()))
                found = dict(zip(different, together, strict=True))
        except ServerSelectionTimeoutError:
            _ping(questions[0].documents)  # one waits for a server, for all of them
            return [ALONE] * len(questions)
        except Exception:  # noqa: BLE001  # whatever it is: it may be the matter of one of them
            return [ALONE] * len(questions)
        is_slow = perf_counter() - began_s >= SLOWISH_S * len(different)
        for shape in {find.shape for find in different.values()}:
            self._tally(shape, 1 if is_slow else -1)
        return [found[each.find.key()] for each in questions]

    def alone(self, documents: Any, find: Find) -> list[bytes]:
        """Read one list, in a thread, and note whether it may share a query."""
        began_s = perf_counter()
        try:
            found = commands.alone(documents, find)
        except (OperationFailure, NetworkTimeout):
            self._tally(find.shape, MAXIMUM_STRIKES)
            raise
        took_s = perf_counter() - began_s
        if took_s >= SLOW_S or sum(map(len, found)) >= LARGE_BYTES:
            self._tally(find.shape, MAXIMUM_STRIKES)
        else:
            self._tally(find.shape, 1 if took_s >= SLOWISH_S else -1)
        return found

    def _tally(self, shape: str, strikes: int) -> None:
        """Count that lists of a shape were slow, or quick."""
        if strikes < 0 and not self._strikes:
            return
        known = min((self._strikes.pop(shape) or 0) + strikes, MAXIMUM_STRIKES)
        if known > 0:
            self._strikes.put(shape, known)


def _different(questions: Sequence[_Question]) -> dict[Hashable, Find]:
    """Return the different ones among lists, by their keys; those of cached plans are the very same."""
    first = questions[0].find
    if all(each.find is first for each in questions):
        return {first: first}
    return {each.find.key(): each.find for each in questions}


def _ping(documents: Any) -> None:
    documents.database.command("ping", read_preference=documents.read_preference)
