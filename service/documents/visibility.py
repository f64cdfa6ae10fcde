"""What a caller sees of stored documents: each as far as the grants that hold for it show it."""

from typing import Any

from service.access.decisions import Decision, grants_for
from service.collections.registry import Collection
from service.documents import encoding, narrowing
from service.query import masks
from service.query.masks import Mask

View = dict[str, Any]
"""A document as clients see it."""


def seen(collection: Collection, decision: Decision, document: dict[str, Any]) -> View | None:
    """Give what a decision to read lets be seen of a stored document; None when it hides the document.

    The members are those that any of the grants shows whose `where` holds for this very document.
    """
    grants = grants_for(decision, document)
    if not grants:
        return None
    view = encoding.view(collection, document)
    return view if narrowing.shows_all(decision) else masks.shown(view, narrowing.mask(grants))


def shown(collection: Collection, decision: Decision, document: dict[str, Any]) -> View:
    """Give what is seen of a stored document that was read under a decision's condition.

    Without masks nothing is asked. Should no grant hold for it after all, nothing is shown but its id and
    version.
    """
    view = encoding.view(collection, document)
    return view if narrowing.shows_all(decision) else masks.shown(view, mask(decision, document))


def mask(decision: Decision, document: dict[str, Any]) -> Mask:
    """Give the mask of a stored document that was read under a decision's condition."""
    if narrowing.shows_all(decision):
        return masks.SHOWN
    found = narrowing.mask(grants_for(decision, document))
    return masks.IDENTITY if found.hides_all else found
