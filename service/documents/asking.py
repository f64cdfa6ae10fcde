"""Lists as they are asked for by URLs: read once, and remembered for those who ask for them again."""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from service.access.decisions import Decision
from service.collections.registry import Collection
from service.documents import expanding, narrowing, reading
from service.documents.reading import Plan
from service.documents.targets import Targets
from service.kit.lru import LruTable
from service.query import ListQuery, parse_list
from service.query.limits import MAXIMUM_CURSOR_CHARACTERS
from service.query.parameters import read_parameters, repeated

MAXIMUM_KNOWN = 2048
"""Lists that a worker remembers."""

MAXIMUM_BYTES = 512
"""Of the query of a list that is remembered."""


_CURSOR = re.compile(rb"(?:^|&)cursor=([A-Za-z0-9_-]{1,%d})(?=&|$)" % MAXIMUM_CURSOR_CHARACTERS)
_EXCLUDED = (b"cursor", b"page", b"q=")
"""What may not stand beside a cursor, or as part of a longer name need not be told from what may not."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A list that somebody asks for: the query that its parameters make, and that which reads for it.

    `repeated` is what the URLs of all its parts have in common. `plan` is what MongoDB is asked for where no
    rule narrows it, None for a list that is not remembered.
    """

    collection: Collection
    repeated: str
    query: ListQuery
    to_read: ListQuery
    plan: Plan | None = None


class KnownLists:
    """The lists that were asked for last, by the queries of their URLs.

    Only those whose reading depends on nothing but the collection's definition: nothing is masked, nothing
    expanded. The places that cursors lead to are read as parts of the list without one.
    """

    def __init__(self) -> None:
        self._known: LruTable[tuple[str, bytes], Asked] = LruTable(MAXIMUM_KNOWN)

    def read(
        self, targets: Targets, collection: Collection, decision: Decision, query_string: bytes
    ) -> Asked:
        """Read a list's parameters; raises RequestInvalid, ParameterInvalid, and what `targets` raise."""
        is_plain = decision.shows_all and len(query_string) <= MAXIMUM_BYTES
        if not is_plain:
            return _read(targets, collection, decision, query_string)
        if b"cursor=" in query_string and (parts := _parts(query_string)) is not None:
            whole, cursor = parts
            return _at(self.read(targets, collection, decision, whole), cursor)
        key = (collection.name, query_string)
        known = self._known.get(key)
        if known is not None and known.collection is collection:
            return known
        asked = _read(targets, collection, decision, query_string)
        if not asked.query.expand and asked.query.cursor is None:
            plan = reading.plan(collection, asked.query.where, asked.to_read)
            asked = Asked(collection, asked.repeated, asked.query, asked.to_read, plan)
            self._known.put(key, asked)
        return asked


def _parts(query_string: bytes) -> tuple[bytes, str] | None:
    """Give a list without its cursor, and the cursor; None for what is not sure to be right without it."""
    found = _CURSOR.search(query_string)
    if found is None:
        return None
    whole = (query_string[: found.start()] + query_string[found.end() :]).removeprefix(b"&")
    if any(name in unquote_to_bytes(whole) for name in _EXCLUDED):
        return None
    return whole, found[1].decode("ascii")


def _at(asked: Asked, cursor: str) -> Asked:
    """Give the part of a list to which a cursor leads."""
    query = replace(asked.query, cursor=cursor)
    to_read = query if asked.to_read is asked.query else replace(asked.to_read, cursor=cursor)
    return replace(asked, query=query, to_read=to_read)


def _read(targets: Targets, collection: Collection, decision: Decision, query_string: bytes) -> Asked:
    parameters = read_parameters(query_string)
    query = parse_list(parameters, narrowing.root(collection, decision), targets.fields_of)
    return Asked(
        collection, repeated(parameters), query, expanding.to_read(targets, collection, decision, query)
    )
