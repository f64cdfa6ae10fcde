"""Lists that share a query, as long as none of them takes MongoDB long."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Final

import pymongo
from pymongo.errors import NetworkTimeout, OperationFailure, ServerSelectionTimeoutError

from service.calls import Calls
from service.documents import finds
from service.documents.finds import Find
from service.documents.joining.joined import Joined, Told

MAXIMUM_TOGETHER = 16
"""Lists that share a query: each waits for all of them."""

TOGETHER_S = 0.15
"""How long they may take together before each is read alone."""

SLOWISH_S = 0.005
"""A list that takes so long, MAXIMUM_STRIKES times in a row, is read alone until it takes less again.

MongoDB reads one after the other of those that share a query, and might do several of these at once.
"""

SLOW_S = 0.05
"""A list that takes so long once is read alone from then on."""

MAXIMUM_STRIKES = 3

LARGE_BYTES = 512 * 1024
"""A list of so much shares no query either: together they must fit into one answer of MongoDB's."""

MAXIMUM_KNOWN = 1024
"""Slow lists that are remembered, by their shapes."""

ALONE: Final = None
"""The outcome of a list that is to be read alone."""


class JoinedLists(Joined[Find, list[bytes] | None]):
    """Lists of all collections on one connection, never stale.

    Those that come while all threads are at work are read together. One that turns out to be slow is harm to
    the others once, and bounded: from then on lists of its shape are read alone, each by a thread of its own.
    """

    maximum_batch = MAXIMUM_TOGETHER

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls.lists, calls.timeout_s)
        self._strikes: OrderedDict[str, int] = OrderedDict()

    async def read(self, find: Find, told: Told) -> list[bytes]:
        """Read documents as MongoDB has them, in BSON; raises Busy, and what the driver raises."""
        if self._strikes.get(find.shape, 0) < MAXIMUM_STRIKES:
            found = await self.ask(find, told)
            if found is not ALONE:
                return found
        return await self._lane.share(find, partial(self.alone, find))

    def command(self, asked: Sequence[Find]) -> Mapping[str, Any] | None:
        """Give the command of one list; several that are slow together are read again, each alone."""
        return asked[0].command() if len({id(find) for find in asked}) == 1 else None

    def serve(self, asked: Sequence[Find]) -> list[list[bytes] | Exception | None]:
        """Read lists; those who ask for the same share what they get."""
        different = list(dict.fromkeys(asked))
        if len(different) == 1:
            return [self.alone(different[0])] * len(asked)
        began_s = perf_counter()
        try:
            with pymongo.timeout(TOGETHER_S):
                found = dict(zip(different, finds.together(different), strict=True))
        except ServerSelectionTimeoutError:
            different[0].documents.database.command("ping")  # one waits for a server, for all of them
            return [ALONE] * len(asked)
        except Exception:  # noqa: BLE001  # whatever it is: it may be the matter of one of them
            return [ALONE] * len(asked)
        is_slow = perf_counter() - began_s >= SLOWISH_S * len(different)
        for shape in {find.shape for find in different}:
            if is_slow:
                self._strike(shape, 1)
            elif self._strikes:
                self._strikes.pop(shape, None)
        return [found[find] for find in asked]

    def alone(self, find: Find) -> list[bytes]:
        """Read one list, in a thread, and note whether it may share a query."""
        began_s = perf_counter()
        try:
            found = finds.alone(find)
        except (OperationFailure, NetworkTimeout):
            self._strike(find.shape, MAXIMUM_STRIKES)
            raise
        took_s = perf_counter() - began_s
        if took_s >= SLOW_S or sum(map(len, found)) >= LARGE_BYTES:
            self._strike(find.shape, MAXIMUM_STRIKES)
        elif took_s >= SLOWISH_S:
            self._strike(find.shape, 1)
        elif self._strikes:
            self._strikes.pop(find.shape, None)
        return found

    def _strike(self, shape: str, count: int) -> None:
        """Count that a list was slow, unless it is known for that already."""
        self._strikes[shape] = min(self._strikes.get(shape, 0) + count, MAXIMUM_STRIKES)
        if len(self._strikes) > MAXIMUM_KNOWN:
            self._strikes.popitem(last=False)
