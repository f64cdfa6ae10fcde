"""What a decision lets a caller ask for and see: its grants' conditions and masks.

What a mask leaves out may not be found out either. A query about it is answered as if only those grants were
there that show all that it asks for; without any, as if there were no such field.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from service.access.decisions import Decision, Grant, grants_for
from service.collections.indexes import Index
from service.collections.registry import Collection
from service.documents import encoding
from service.kit.violations import shown
from service.query import masks
from service.query.fields import Field
from service.query.masks import Mask
from service.query.mongo import unsearchable
from service.query.parameters import Problems
from service.query.parse import ChangeQuery
from service.query.tree import ListQuery, Node, Path, Selection, conjoin

View = dict[str, Any]
"""A document as clients see it."""

# --- what may be asked for


def fields_of(collection: Collection, decision: Decision) -> Field:
    """Return the fields that a caller may ask for: those that one of the grants shows."""
    whole = collection.description.schema.root
    return whole if decision.shows_all else masks.fields_of(whole, _selections(decision.grants))


def condition(collection: Collection, decision: Decision, query: ListQuery | ChangeQuery) -> Node | None:
    """Return the condition on the documents that a query is for: its own, and the row filter.

    Raises ParameterInvalid as `row_filter` does.
    """
    return conjoin(row_filter(collection, decision, query), query.where)


def row_filter(collection: Collection, decision: Decision, query: ListQuery | ChangeQuery) -> Node | None:
    """Return the rule's condition on the documents of a query, None for all of them.

    It is that of the grants that show all that the query filters and sorts by; a search is by all that the
    text index holds. Raises ParameterInvalid when there is none, as for a field that does not exist, or a
    collection without a text index.
    """
    if decision.shows_all:
        return decision.where
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
            raise unsearchable(fields_of(collection, decision))
    return Decision(grants).where


def _admitting(
    collection: Collection,
    grants: tuple[Grant, ...],
    beyond: Callable[[Field], Iterator[Path]],
    parameter: str,
) -> tuple[Grant, ...]:
    """Return the grants beyond whose masks nothing is asked; raises ParameterInvalid without any."""
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


# --- what is seen


def mask_of(grants: Iterable[Grant]) -> Mask:
    """Return what some grants show of a document for which all of them hold; HIDDEN without any."""
    return masks.of_selections(_selections(grants))


def mask(decision: Decision, document: dict[str, Any]) -> Mask:
    """Return the mask of a stored document that was read under a decision's condition.

    Should no grant hold for it after all, it shows nothing but the id and the version.
    """
    if decision.shows_all:
        return masks.SHOWN
    found = mask_of(grants_for(decision, document))
    return masks.IDENTITY if found.hides_all else found


def view(collection: Collection, decision: Decision, document: dict[str, Any]) -> View:
    """Return what is seen of a stored document that was read under a decision's condition."""
    whole = encoding.view(collection, document)
    return whole if decision.shows_all else masks.shown(whole, mask(decision, document))


def seen(collection: Collection, decision: Decision, document: dict[str, Any]) -> View | None:
    """Return what a decision to read lets be seen of any stored document; None when it hides the document.

    The members are those that any of the grants shows whose `where` holds for this very document.
    """
    grants = grants_for(decision, document)
    if not grants:
        return None
    whole = encoding.view(collection, document)
    return whole if decision.shows_all else masks.shown(whole, mask_of(grants))
