"""Lists that share a query, as long as none of them takes MongoDB long."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Final

import pymongo
from pymongo.errors import PyMongoError

from service.calls import Calls
from service.documents import finds
from service.documents.finds import CutShort, Find
from service.documents.joining.joined import Joined, Told

MAXIMUM_TOGETHER = 16
"""Lists that share a query: each waits for all of them."""

TOGETHER_S = 0.15
"""How long they may take together before each is read alone."""

SLOW_S = 0.05
"""A list that takes so long when it is read alone shares no query until it does not any more."""

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
        self._slow: OrderedDict[str, None] = OrderedDict()

    async def read(self, find: Find, told: Told) -> list[bytes]:
        """Read documents as MongoDB has them, in BSON; raises Busy, and what the driver raises."""
        if find.shape not in self._slow:
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
        try:
            with pymongo.timeout(TOGETHER_S):
                found = dict(zip(different, finds.together(different), strict=True))
        except (CutShort, PyMongoError):  # whatever it is: it may be the matter of one of them
            return [ALONE] * len(asked)
        return [found[find] for find in asked]

    def alone(self, find: Find) -> list[bytes]:
        """Read one list, in a thread, and note whether it may share a query."""
        began_s = perf_counter()
        try:
            found = finds.alone(find)
        except PyMongoError:
            self._note(find, is_slow=True)
            raise
        took_s = perf_counter() - began_s
        self._note(find, is_slow=took_s >= SLOW_S or sum(map(len, found)) >= LARGE_BYTES)
        return found

    def _note(self, find: Find, *, is_slow: bool) -> None:
        if is_slow:
            self._slow[find.shape] = None
            if len(self._slow) > MAXIMUM_KNOWN:
                self._slow.popitem(last=False)
        elif self._slow:
            self._slow.pop(find.shape, None)
