"""What the rules grant one caller: to which documents, under which conditions, with which fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from service.query.lists import Selection
from service.query.tree import Node, Or

NOTHING_FORCED: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Grant:
    """One alternative of a rule that admits a caller, with the caller's own values in place.

    `where` narrows the documents that are there (None: all), `check` is what the result of a write has to
    fulfil, `forced` are top-level members that a write sets, as JSON, whatever the body says; `fields` are
    those that may be read, or written (None: all). `position` counts the verb's alternatives from 0.
    """

    position: int = 0
    where: Node | None = None
    check: Node | None = None
    forced: Mapping[str, Any] = field(default_factory=lambda: NOTHING_FORCED, hash=False)
    fields: Selection | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether it does no more than to narrow the documents."""
        return self.check is None and not self.forced and self.fields is None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a principal may do here by one verb: anything that one of the grants allows; nothing without one.

    For each document that grant decides, in the order of the rule, which fulfils everything.
    """

    grants: tuple[Grant, ...] = ()

    @property
    def allowed(self) -> bool:
        """Tell whether the verb is possible at all, if only on some documents."""
        return bool(self.grants)

    @property
    def where(self) -> Node | None:
        """Give the condition on the documents that are there, None for no narrowing.

        It belongs into the very operation that reads or writes.
        """
        narrowed = [grant.where for grant in self.grants if grant.where is not None]
        if len(narrowed) < len(self.grants):
            return None
        return narrowed[0] if len(narrowed) == 1 else Or(tuple(narrowed))

    @property
    def is_plain(self) -> bool:
        """Tell whether it does no more than to narrow the documents."""
        return all(grant.is_plain for grant in self.grants)


ALLOWED = Decision((Grant(),))
REFUSED = Decision()
