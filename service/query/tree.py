"""The syntax tree of a filter: what clients' text, JSON filters and access rules all become."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bson import Decimal128

from service.query.limits import DEFAULT_LIMIT

Path: TypeAlias = tuple[str, ...]


def is_within(path: Path, outer: Path) -> bool:
    """Return whether a path leads to what stands at another one, or to a part of that.

    >>> is_within(("place", "city"), ("place",)), is_within(("place",), ("place", "city"))
    (True, False)
    """
    return path[: len(outer)] == outer


def outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Leave out repetitions, and paths within others; the rest keeps its order.

    >>> outermost([("place", "city"), ("name",), ("place",), ("name",)])
    (('name',), ('place',))
    """
    known = dict.fromkeys(paths)
    return tuple(path for path in known if not any(path[:length] in known for length in range(1, len(path))))


@dataclass(frozen=True, slots=True)
class Compare:
    """One operator of the operator table at one path; a list operator's value, and an array, is a tuple.

    The path `("id",)` is the document's id. The empty path is, within an Elem, the array's element itself.
    """

    path: Path
    operator: str
    value: Hashable | Decimal128

    def __hash__(self) -> int:
        """Hash without the value: BSON's decimals have no hash of their own."""
        return hash((self.path, self.operator))


@dataclass(frozen=True, slots=True)
class Elem:
    """At least one element of the array at the path fulfils the whole condition.

    The condition's paths start at the element; or it is a Compare or Elem, or an And of them, with the empty
    path.
    """

    path: Path
    condition: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; without parts, always."""

    parts: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; without parts, never."""

    parts: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Node"


Node: TypeAlias = Compare | Elem | And | Or | Not

EVERYTHING = And()
"""The filter that every document matches."""

NOTHING = Or()
"""The filter that no document matches."""


def all_of(parts: list[Node]) -> Node:
    """Return the parts and-ed, without a wrapper around a single one.

    >>> all_of([Compare(("price",), "gt", 1)])
    Compare(path=('price',), operator='gt', value=1)
    >>> all_of([]) == EVERYTHING
    True
    """
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def conjoin(first: Node | None, second: Node | None) -> Node | None:
    """And two filters, of which None stands for no condition; None when there is none at all.

    >>> conjoin(None, NOTHING) == NOTHING
    True
    >>> conjoin(EVERYTHING, None) is None
    True
    """
    parts = [part for part in (first, second) if part is not None and part != EVERYTHING]
    return all_of(parts) if parts else None


def member_names(node: Node | None) -> Iterator[str]:
    """Yield the names of the members of a stored document that a condition looks at.

    >>> list(member_names(And((Compare(("id",), "eq", 1), Compare(("a", "b"), "eq", 2)))))
    ['_id', 'a']
    """
    if isinstance(node, Compare | Elem):
        yield "_id" if node.path[0] == "id" else node.path[0]
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from member_names(part)
    elif isinstance(node, Not):
        yield from member_names(node.part)


def comparisons(node: Node) -> int:
    """Count the comparisons of a filter.

    >>> comparisons(Not(And((Compare(("a",), "eq", 1), Elem(("b",), Compare((), "eq", 2))))))
    2
    """
    match node:
        case Compare():
            return 1
        case Elem(_, condition):
            return comparisons(condition)
        case Not(part):
            return comparisons(part)
        case And(parts) | Or(parts):
            return sum(map(comparisons, parts))


def on_element(condition: Node) -> tuple[Compare | Elem, ...]:
    """Return the parts of an Elem's condition that are on the element itself; none when it is on members."""
    if isinstance(condition, And):
        parts = [on_element(part) for part in condition.parts]
        return tuple(each for part in parts for each in part) if all(parts) else ()
    return (condition,) if isinstance(condition, Compare | Elem) and not condition.path else ()


Count: TypeAlias = Literal["exact", "estimated"]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    path: Path
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields to give, or, as an exclusion, those to leave out; no path begins with another."""

    paths: tuple[Path, ...]
    is_exclusion: bool = False


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One page of the documents that fulfil `where`, in order; without `sort` by id. Hashable.

    `search` is text to find, `cursor` a page's place as a client sent it, not read yet (`page` is 1 then),
    `count` how to count all that fulfil `where`, `expand` the paths of references to follow.
    """

    where: Node | None = None
    sort: tuple[SortKey, ...] = ()
    page: int = 1
    limit: int = DEFAULT_LIMIT
    selection: Selection | None = None
    search: str | None = None
    cursor: str | None = None
    count: Count | None = None
    expand: tuple[Path, ...] = ()

    @property
    def skip(self) -> int:
        """Count the documents before the page."""
        return (self.page - 1) * self.limit
