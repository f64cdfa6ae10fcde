"""What a decision lets a caller ask for and see: its grants' conditions and masks, as queries heed them.

What a mask leaves out may not be found out either. A query about it is answered as if only those grants were
there that show all that it asks for; without any, as if there were no such field.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from service.access.decisions import Decision, Grant
from service.collections.indexes import Index
from service.collections.registry import Collection
from service.query import masks
from service.query.changes import ChangeQuery
from service.query.fields import Field
from service.query.lists import ListQuery, Selection
from service.query.masks import Mask
from service.query.problems import Problems, shown
from service.query.search import unsearchable
from service.query.tree import Node, Path


def shows_all(decision: Decision) -> bool:
    """Tell whether no grant has a mask, so that nothing of any document is left out."""
    return decision.shows_all


def root(collection: Collection, decision: Decision) -> Field:
    """Give the fields that a caller may ask for: those that one of the grants shows."""
    whole = collection.description.schema.root
    return whole if shows_all(decision) else masks.fields_of(whole, _selections(decision.grants))


def mask(grants: Iterable[Grant]) -> Mask:
    """Give what some grants show of a document for which all of them hold; HIDDEN without any."""
    return masks.of_selections(_selections(grants))


def admitting(collection: Collection, decision: Decision, query: ListQuery | ChangeQuery) -> Decision:
    """Give what is left of a decision for a query: the grants that show all that it filters and sorts by.

    A search is by all that the text index holds. Raises ParameterInvalid when there is none left, as for a
    field that does not exist, or a collection without a text index.
    """
    if shows_all(decision):
        return decision
    grants = decision.grants
    if query.where is not None:
        grants = _admitting(collection, grants, partial(_beyond_filter, query.where), "filter")
    if isinstance(query, ListQuery) and query.sort:
        grants = _admitting(collection, grants, partial(_beyond, [key.path for key in query.sort]), "sort")
    if query.search is not None:
        paths = _text_paths(collection.description.indexes)
        grants = tuple(
            grant
            for grant in grants
            if grant.fields is None or (paths and not any(_beyond(paths, _fields(collection, grant))))
        )
        if not grants:
            raise unsearchable(root(collection, decision))
    return Decision(grants)


def _admitting(
    collection: Collection,
    grants: tuple[Grant, ...],
    beyond: Callable[[Field], Iterator[Path]],
    parameter: str,
) -> tuple[Grant, ...]:
    """Give the grants beyond whose masks nothing is asked; raises ParameterInvalid without any."""
    refused: list[Path] = []
    admitted: list[Grant] = []
    for grant in grants:
        path = None if grant.fields is None else next(beyond(_fields(collection, grant)), None)
        if path is None:
            admitted.append(grant)
        else:
            refused.append(path)
    if not admitted:
        problems = Problems()
        detail = f"there is no field `{shown('.'.join(refused[0]))}`"
        problems.add(detail, "unknown_field", parameter=parameter)
        problems.raise_if_any()
    return tuple(admitted)


def _beyond_filter(where: Node, fields: Field) -> Iterator[Path]:
    return masks.beyond(fields, where)


def _beyond(paths: Iterable[Path], fields: Field) -> Iterator[Path]:
    return (path for path in paths if not masks.may_be_compared(fields, path))


def _fields(collection: Collection, grant: Grant) -> Field:
    return masks.fields_of(collection.description.schema.root, _selections([grant]))


def _selections(grants: Iterable[Grant]) -> frozenset[Selection | None]:
    return frozenset(grant.fields for grant in grants)


def _text_paths(indexes: Iterable[Index]) -> list[Path]:
    return [tuple(name.split(".")) for index in indexes for name, kind in index.keys if kind == "text"]
