"""Lists as they are asked for by URLs: read once, and remembered for those who ask for them again."""

from collections import OrderedDict
from dataclasses import dataclass

from service.access.decisions import Decision
from service.documents import expanding, narrowing, reading
from service.documents.reading import Plan
from service.documents.targets import Targets
from service.query import ListQuery, parse_list
from service.query.parameters import read_parameters, repeated
from service.registry import Collection

MAXIMUM_KNOWN = 2048
"""Lists that a worker remembers."""

MAXIMUM_BYTES = 512
"""Of the query of a list that is remembered."""


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
    expanded, and they are no place that a cursor leads to, which hardly anybody else asks for.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], Asked] = OrderedDict()

    def read(
        self, targets: Targets, collection: Collection, decision: Decision, query_string: bytes
    ) -> Asked:
        """Read a list's parameters; raises RequestInvalid, ParameterInvalid, and what `targets` raise."""
        is_plain = decision.shows_all and len(query_string) <= MAXIMUM_BYTES
        if not is_plain:
            return _read(targets, collection, decision, query_string)
        key = (collection.name, query_string)
        known = self._known.get(key)
        if known is not None and known.collection is collection:
            self._known.move_to_end(key)
            return known
        asked = _read(targets, collection, decision, query_string)
        if not asked.query.expand and asked.query.cursor is None:
            plan = reading.plan(collection, asked.query.where, asked.to_read)
            asked = Asked(collection, asked.repeated, asked.query, asked.to_read, plan)
            self._known[key] = asked
            if len(self._known) > MAXIMUM_KNOWN:
                self._known.popitem(last=False)
        return asked


def _read(targets: Targets, collection: Collection, decision: Decision, query_string: bytes) -> Asked:
    parameters = read_parameters(query_string)
    query = parse_list(parameters, narrowing.root(collection, decision), targets.fields_of)
    return Asked(
        collection, repeated(parameters), query, expanding.to_read(targets, collection, decision, query)
    )
