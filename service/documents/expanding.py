"""What a query shows of the documents that it found: references are expanded, fields selected."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from service.access.decisions import Decision
from service.collections.registry import Collection
from service.documents import encoding, narrowing, visibility
from service.documents.following import EXPANDED, Followed, steps_to
from service.documents.reading import Page
from service.documents.rendering import Renderings
from service.documents.targets import Targets
from service.documents.visibility import View
from service.kit.tasks import Breather
from service.query.expansions import Expansion, plan
from service.query.fields import Field
from service.query.lists import ListQuery, Selection
from service.query.select import select
from service.query.tree import Path
from service.query.views import ViewQuery


async def page(
    targets: Targets,
    collection: Collection,
    decision: Decision,
    found: Page,
    query: ListQuery,
    *,
    renderings: Renderings,
) -> bytes:
    """Write the page of a list that was read by the query of `to_read`; raises what `views` raises."""
    if query.expand or not narrowing.shows_all(decision):
        shown = await views(targets, collection, decision, found.decoded(), query)
        return encoding.list_bytes(shown, found)
    # the fields are selected already
    return encoding.page_bytes(await renderings.texts(collection, found.stored), found)


async def views(
    targets: Targets,
    collection: Collection,
    decision: Decision,
    documents: Iterable[dict[str, Any]],
    query: ListQuery | ViewQuery,
) -> list[View]:
    """Give the views of stored documents that a query asks for, by its `expand` and its selection.

    The documents have been read under the decision, whole, or by the query of `to_read`; no reference is
    followed that it does not show. Each object that holds a reference to expand has `_expanded`, where the
    reference's name has the document that it leads to: null when that is absent or hidden by a rule, an array
    for an array. Raises SignInRequired or Forbidden for a collection of which the caller may read nothing,
    ParameterInvalid when a limit is passed.
    """
    shown = await _seen(collection, decision, documents)
    selection = query.selection
    if expansions := _plan(targets, narrowing.root(collection, decision), query):
        followed = Followed(targets)
        await followed.read(expansions, shown)
        steps = steps_to(expansions)
        shown = [followed.expanded(view, steps) for view in shown]
        selection = _with_expanded(selection, expansions)
    return shown if selection is None else [select(view, selection) for view in shown]


async def _seen(
    collection: Collection, decision: Decision, documents: Iterable[dict[str, Any]]
) -> list[View]:
    """Give all that may be seen of documents; between large ones, other requests go on."""
    shown: list[View] = []
    is_whole = narrowing.shows_all(decision)
    breather = Breather()
    for document in documents:
        await breather.breathe()
        shown.append(
            encoding.view(collection, document)
            if is_whole
            else visibility.shown(collection, decision, document)
        )
    return shown


def to_read(targets: Targets, collection: Collection, decision: Decision, query: ListQuery) -> ListQuery:
    """Give the query that also reads the references to expand, whether they are to be shown or not.

    Where there are masks it reads whole documents: which of them holds may depend on any member.
    """
    if not narrowing.shows_all(decision):
        return replace(query, selection=None)
    if query.selection is None or not query.expand:
        return query
    references = [expansion.path for expansion in _plan(targets, collection.description.schema.root, query)]
    paths = query.selection.paths
    if query.selection.is_exclusion:
        paths = tuple(path for path in paths if not any(_is_within(each, path) for each in references))
    else:
        paths = _outermost((*paths, *references))
    return replace(query, selection=replace(query.selection, paths=paths) if paths else None)


def _plan(targets: Targets, fields: Field, query: ListQuery | ViewQuery) -> tuple[Expansion, ...]:
    return plan(fields, query.expand, targets.fields_of)


def _with_expanded(selection: Selection | None, expansions: Iterable[Expansion]) -> Selection | None:
    """Give the selection with what is expanded, which is shown unless all around it is left out."""
    if selection is None or selection.is_exclusion:
        return selection
    beside = ((*expansion.path[:-1], EXPANDED) for expansion in expansions)
    return replace(selection, paths=_outermost((*selection.paths, *beside)))


def _outermost(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Leave out repetitions, and paths within others: MongoDB takes no path twice."""
    known = dict.fromkeys(paths)
    return tuple(
        path for path in known if not any(_is_within(path, other) for other in known if other != path)
    )


def _is_within(path: Path, outer: Path) -> bool:
    return path[: len(outer)] == outer
