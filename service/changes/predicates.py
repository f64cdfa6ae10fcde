"""Which subscriptions a change may concern: found by the values of the document, not by asking each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from service.query.match import ComparisonKey, comparison_key, values_at
from service.query.tree import And, Compare, Node, Or, Path

MAXIMUM_KEYS = 1000
"""Values under which one condition may be filed; a condition that names more is asked at every change."""

Key: TypeAlias = tuple[Path, ComparisonKey]
Keys: TypeAlias = frozenset[Key]

Member = TypeVar("Member")


def keys_of(node: Node | None) -> Keys | None:
    """Return paths and values of which a document that fulfils a condition has at least one.

    None where the condition says no such thing. Of parts that all hold, the one with the fewest values will
    do; of parts of which one holds, it takes those of each.

    >>> where = And((Compare(("room",), "eq", "x"), Compare(("n",), "gt", 1)))
    >>> keys_of(where) == {(("room",), comparison_key("x"))}
    True
    >>> keys_of(Or((where, Compare(("n",), "gt", 1)))) is None
    True
    """
    match node:
        case Compare(path, "eq", value):
            return frozenset({(_stored(path), comparison_key(value))})
        case Compare(path, "in", values):
            found = frozenset((_stored(path), comparison_key(value)) for value in _each(values))
            return found if len(found) <= MAXIMUM_KEYS else None
        case And(parts):
            known = [keys for keys in map(keys_of, parts) if keys is not None]
            return min(known, key=len, default=None)
        case Or(parts):
            several = [keys_of(part) for part in parts]
            if any(keys is None for keys in several):
                return None
            union = frozenset[Key]().union(*(keys for keys in several if keys is not None))
            return union if len(union) <= MAXIMUM_KEYS else None
    return None


def _stored(path: Path) -> Path:
    return ("_id",) if path == ("id",) else path


def _each(values: Any) -> Iterable[Any]:
    return values  # type: ignore[no-any-return]  # of `in`, a tuple


class PredicateIndex(Generic[Member]):
    """Members by the values that their conditions ask for, and those that have to be asked each time."""

    def __init__(self) -> None:
        self._by_path: dict[Path, dict[ComparisonKey, dict[Member, None]]] = {}
        self._keys: dict[Member, Keys] = {}
        self.unfiled: dict[Member, None] = {}
        """Those whose conditions name no value."""

    def add(self, member: Member, keys: Keys | None) -> None:
        """File a member under the keys of its condition."""
        if keys is None:
            self.unfiled[member] = None
            return
        self._keys[member] = keys
        for path, value in keys:
            self._by_path.setdefault(path, {}).setdefault(value, {})[member] = None

    def most_alike(self, keys: Keys) -> int:
        """Return how many members are filed under one of the keys, that of which there are most."""
        return max((len(self._by_path.get(path, {}).get(value, ())) for path, value in keys), default=0)

    def remove(self, member: Member) -> None:
        """Take a member out."""
        self.unfiled.pop(member, None)
        for path, value in self._keys.pop(member, ()):
            by_value = self._by_path[path]
            del by_value[value][member]
            if not by_value[value]:
                del by_value[value]
            if not by_value:
                del self._by_path[path]

    def candidates(self, images: Iterable[Mapping[str, Any] | None]) -> Iterator[Member]:
        """Yield, each once, the members whose conditions one of the documents may fulfil."""
        found: dict[Member, None] = dict(self.unfiled)
        for image in images:
            if image is None:
                continue
            for path, by_value in self._by_path.items():
                for value in values_at(image, path):
                    members = by_value.get(comparison_key(value))
                    if members is not None:
                        found.update(members)
        yield from found
