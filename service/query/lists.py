"""What a list query asks for, once it is understood."""

from dataclasses import dataclass

from service.query.limits import DEFAULT_LIMIT
from service.query.tree import Node, Path


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
    """One page of the documents that fulfil `where`, in order; without `sort` by id. Hashable."""

    where: Node | None = None
    sort: tuple[SortKey, ...] = ()
    page: int = 1
    limit: int = DEFAULT_LIMIT
    selection: Selection | None = None

    @property
    def skip(self) -> int:
        """Count the documents before the page."""
        return (self.page - 1) * self.limit
