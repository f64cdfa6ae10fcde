"""The stages that leave, before a pipeline, what a caller may see: which documents, what part of each."""

from itertools import product
from typing import Any

from service.access.decisions import Decision
from service.query import masks, to_mongo
from service.query.masks import Mask
from service.query.tree import And, Node, Not, Or, Selection
from service.saved_queries.shapes import stored

MAXIMUM_MASKS = 4
"""Different masks of one decision that are brought together for each document; of more, what all show."""

CELL = "_cell"
"""The member that numbers the parts while they are told apart; no client's own can have such a name."""

Stages = list[dict[str, Any]]
Cells = dict[Mask, list[Node]]


def stages(decision: Decision) -> Stages:
    """Return the stages that let pass the documents of a decision, each as far as its grants show it.

    What is masked is gone before anything else looks at it. They can stand in a `$lookup` too.
    """
    where = decision.where
    matched: Stages = [] if where is None else [{"$match": to_mongo(where)}]
    cells = _cells(decision)
    if len(cells) == 1:
        ((mask, _),) = cells.items()
        return [*matched, *_masked([("", mask)])]
    return [*matched, *_told_apart(cells)]


def _cells(decision: Decision) -> Cells:
    """Return for each mask the condition under which documents are seen through it."""
    groups: dict[Selection | None, list[Node | None]] = {}
    for grant in decision.grants:
        groups.setdefault(grant.fields, []).append(grant.where)
    if len(groups) > MAXIMUM_MASKS:
        shown = masks.SHOWN
        for selection in groups:
            shown = masks.both(shown, masks.of_selections(frozenset({selection})))
        return {shown: []}
    cells: Cells = {}
    for holds in product((True, False), repeat=len(groups)):
        parts = _condition(groups, holds)
        if any(holds) and parts is not None:
            chosen = frozenset(each for each, does in zip(groups, holds, strict=True) if does)
            cells.setdefault(masks.of_selections(chosen), []).append(And(tuple(parts)))
    return cells


def _condition(
    groups: dict[Selection | None, list[Node | None]], holds: tuple[bool, ...]
) -> list[Node] | None:
    """Return the conditions on which just these groups of grants hold; None when that cannot be."""
    parts: list[Node] = []
    for wheres, does in zip(groups.values(), holds, strict=True):
        narrowed = [where for where in wheres if where is not None]
        if len(narrowed) == len(wheres):
            parts.append(Or(tuple(narrowed)) if does else Not(Or(tuple(narrowed))))
        elif not does:
            return None
    return parts


def _told_apart(cells: Cells) -> Stages:
    """Return the stages that mask each document by its cell, and bring all together again."""
    conditions = [
        {"$and": [{CELL: number}, to_mongo(Or(tuple(wheres)))]}
        for number, wheres in enumerate(cells.values())
    ]
    placed = {
        f"c{number}": {"$cond": [{"$eq": [f"${CELL}", number]}, "$$ROOT", "$$REMOVE"]}
        for number in range(len(cells))
    }
    return [
        {"$set": {CELL: list(range(len(cells)))}},
        {"$unwind": f"${CELL}"},
        {"$match": {"$or": conditions}},
        {"$replaceWith": placed},
        *_masked([(f"c{number}.", mask) for number, mask in enumerate(cells)]),
        {"$replaceWith": {"$mergeObjects": [f"${name}" for name in placed]}},
        {"$unset": CELL},
    ]


def _masked(places: list[tuple[str, Mask]]) -> Stages:
    """Return the stages that leave of objects what masks show; each object's path ends in a dot.

    Where a mask shows some members only of an object beside which it shows all, that object goes as a whole.
    """
    included: dict[str, int] = {}
    excluded: list[str] = []
    for path, mask in places:
        if mask.rest:
            included |= {path.removesuffix("."): 1} if path else {}
            excluded += _left_out(path, mask)
        else:
            _note_shown(path, _as_stored(mask), included, excluded)
    found: Stages = []
    if any(not mask.rest for _, mask in places):
        found.append({"$project": included})
    return [*found, {"$unset": excluded}] if excluded else found


def _as_stored(mask: Mask) -> Mask:
    """Return a document's mask with the names of its own members as MongoDB has them."""
    return Mask(mask.rest, {stored((name,)): below for name, below in mask.members.items()})


def _note_shown(path: str, mask: Mask, included: dict[str, int], excluded: list[str]) -> None:
    for name, below in mask.members.items():
        here = path + name
        if below.shows_all:
            included[here] = 1
        elif below.rest:
            included[here] = 1
            excluded += _left_out(f"{here}.", below)
        else:
            _note_shown(f"{here}.", below, included, excluded)


def _left_out(path: str, mask: Mask) -> list[str]:
    """Return the paths of what a mask leaves out that shows the rest."""
    found: list[str] = []
    for name, below in mask.members.items():
        if below.rest:
            found += _left_out(f"{path}{name}.", below)
        else:
            found.append(path + name)
    return found
