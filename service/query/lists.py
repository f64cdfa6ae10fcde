"""What a list query asks for, once it is understood."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.query.limits import DEFAULT_LIMIT
from service.query.tree import Node, Path

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
