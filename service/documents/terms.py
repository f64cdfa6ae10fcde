"""On which terms somebody writes: what the rules grant them, and as what they are shown the outcome."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.access.decisions import ALLOWED, Decision, Grant, Refusal, grants_for
from service.access.principals import Principal
from service.access.rules import Verb
from service.collections.registry import Collection
from service.documents import encoding, visibility
from service.documents.reading import decide, permit
from service.kit.errors import (
    DocumentInvalid,
    DocumentNotFound,
    Failure,
    FieldNotWritable,
    Forbidden,
    Violation,
)
from service.kit.pointers import join
from service.query import And, Compare, Elem, Node, Not, Or, masks
from service.query.masks import IDENTITY, SHOWN, Mask

TOLERATED = (DocumentInvalid, FieldNotWritable)
"""Failures of what one alternative of a rule makes of a body, which another one may make good."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rules grant a caller who changes documents: by the verb, and for seeing them."""

    write: Decision
    read: Decision

    def mask(self, document: dict[str, Any]) -> Mask:
        """Tell what the caller sees of a stored document."""
        if self.read.where is None and self.read.allowed and self.read.shows_all:
            return SHOWN
        found = visibility.mask_of(grants_for(self.read, document))
        return IDENTITY if found.hides_all else found

    @property
    def wheres(self) -> tuple[Node, ...]:
        """Give the conditions that decide which alternative a document falls under."""
        if self.write.is_plain:
            return ()
        return tuple(grant.where for grant in self.write.grants if grant.where is not None)


UNBOUND = Terms(ALLOWED, ALLOWED)
"""The terms of those whom no rule binds."""


def agreed(collection: Collection, principal: Principal, verb: Verb) -> Terms:
    """Give the terms on which a caller changes documents; raises SignInRequired or Forbidden."""
    return Terms(permit(collection, principal, verb), decide(collection, principal, "get"))


def shown(collection: Collection, principal: Principal, document: dict[str, Any]) -> dict[str, Any]:
    """Give what a caller who wrote a stored document is shown of it: what `get` shows, its id at least."""
    view = visibility.seen(collection, decide(collection, principal, "get"), document)
    if view is not None:
        return view
    return masks.shown(encoding.view(collection, document), IDENTITY)


def writable(grant: Grant) -> Mask:
    """Give the mask of what a grant lets be written."""
    return SHOWN if grant.fields is None else masks.of_selections(frozenset({grant.fields}))


def refusal(collection: Collection, verb: Verb, refusals: tuple[Refusal, ...]) -> Failure:
    """Give the failure that tells of a write why no grant allows it; the one that came closest is told of.

    Without any the document is hidden.
    """
    if not refusals:
        return DocumentNotFound()
    if any(each.failure is None and not each.beyond for each in refusals):
        return Forbidden(
            f"The rules of `{collection.name}` let you {verb} documents, but not with such an outcome: "
            "their `check` does not hold"
        )
    for kind in TOLERATED:
        for each in refusals:
            if isinstance(each.failure, kind):
                return each.failure
    return _not_writable(collection, min((each.beyond for each in refusals), key=len))


def _not_writable(collection: Collection, paths: tuple[tuple[str, ...], ...]) -> Forbidden:
    said = "the rules do not let you write this field"
    violations = [Violation(said, "rule", pointer=join(path)) for path in paths]
    summary = f"`{violations[0].pointer}`" if len(violations) == 1 else f"{len(violations)} of these fields"
    return Forbidden(f"The rules of `{collection.name}` do not let you write {summary}", errors=violations)


def names(node: Node | None) -> Iterator[str]:
    """Give the names of the members of a stored document that a condition looks at."""
    if isinstance(node, Compare | Elem):
        yield "_id" if node.path[0] == "id" else node.path[0]
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from names(part)
    elif isinstance(node, Not):
        yield from names(node.part)
