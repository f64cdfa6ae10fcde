"""What the rules grant somebody who writes, and what they are shown of the outcome."""

from dataclasses import dataclass
from typing import Any, Self

from service.access.decisions import ALLOWED, Decision, Grant, Refusal, grants_for
from service.access.rules import Verb
from service.collections.registry import Collection
from service.documents import encoding, visibility
from service.documents.access import Access
from service.kit.errors import (
    DocumentInvalid,
    DocumentNotFound,
    Failure,
    FieldNotWritable,
    Forbidden,
    Violation,
)
from service.kit.json_values import join_pointer
from service.query import Node, masks
from service.query.masks import IDENTITY, SHOWN, Mask

TOLERATED = (DocumentInvalid, FieldNotWritable)
"""Failures of what one alternative of a rule makes of a body, which another one may make good."""


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """What the rules grant a caller who changes documents: by the verb, and for seeing them."""

    write: Decision
    read: Decision

    @classmethod
    def of(cls, access: Access, verb: Verb) -> Self:
        """Return what binds a caller who changes documents; raises SignInRequired or Forbidden."""
        return cls(access.permit(verb), access.decide("get"))

    def mask(self, document: dict[str, Any]) -> Mask:
        """Return the mask of what the caller sees of a stored document."""
        if self.read.where is None and self.read.allowed and self.read.shows_all:
            return SHOWN
        found = visibility.mask_of(grants_for(self.read, document))
        return IDENTITY if found.hides_all else found

    @property
    def wheres(self) -> tuple[Node, ...]:
        """The conditions that decide which alternative a document falls under."""
        if self.write.is_plain:
            return ()
        return tuple(grant.where for grant in self.write.grants if grant.where is not None)


UNBOUND = WritePolicy(ALLOWED, ALLOWED)
"""The policy for those whom no rule binds."""


def shown(access: Access, document: dict[str, Any]) -> dict[str, Any]:
    """Return what a caller who wrote a stored document is shown of it: what `get` shows, its id at least."""
    view = visibility.seen(access.collection, access.decide("get"), document)
    if view is not None:
        return view
    return masks.shown(encoding.view(access.collection, document), IDENTITY)


def writable(grant: Grant) -> Mask:
    """Return the mask of what a grant lets be written."""
    return SHOWN if grant.fields is None else masks.of_selections(frozenset({grant.fields}))


def refusal(collection: Collection, verb: Verb, refusals: tuple[Refusal, ...]) -> Failure:
    """Return the failure of a write that no grant allows: why the grant that came closest does not.

    Without any refusal the document is hidden.
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
    violations = [Violation(said, "rule", pointer=join_pointer(path)) for path in paths]
    summary = f"`{violations[0].pointer}`" if len(violations) == 1 else f"{len(violations)} of these fields"
    return Forbidden(f"The rules of `{collection.name}` do not let you write {summary}", errors=violations)
