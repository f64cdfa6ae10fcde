"""What a subscription asks for: which documents, as whom, and what is shown of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, TypeAlias

from service.access.decisions import Decision
from service.collections.registry import Collection
from service.documents import visibility
from service.documents.access import Access
from service.documents.encoding import dump
from service.query import masks
from service.query.cursors import list_id
from service.query.match import matches
from service.query.mongo import Filter, to_mongo
from service.query.tree import Compare, ListQuery, Node, Selection
from service.storage.change_stream import StoredChange

RIGHTS_BYTES = 8

ViewKey: TypeAlias = tuple[str, Selection | None]
"""What tells how documents are shown: equal for all who see the same of them."""

Texts: TypeAlias = dict[ViewKey, bytes]
"""One document as JSON, for those who see it differently."""


class Told(NamedTuple):
    """What a change is to those who share an interest."""

    event: Literal["put", "gone"]
    why: str
    text: bytes
    id: Any
    version: Any


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """Documents of a collection that a caller may watch and has asked for, shown as the caller sees them.

    `asked` is the client's own condition, `where` that with the rule's. Interests of equal `key` are told the
    same with the same cursors, whoever has them. `rights` is a digest of what the rule lets this caller see:
    a cursor that was given under other rights is of no use, because what was seen then may have to be
    forgotten.
    """

    access: Access
    asked: Node | None
    selection: Selection | None
    query: ListQuery
    decision: Decision
    where: Node | None
    view_key: ViewKey
    rights: bytes
    key: str
    asks_for: bytes = field(compare=False)
    """A digest of what the client asks for: cursors are of that alone."""

    @property
    def collection(self) -> Collection:
        """The collection, as it was defined when this began."""
        return self.access.collection

    @property
    def depends_on_time(self) -> bool:
        """Whether the rule asks what time it is."""
        return self.decision.moment is not None

    @property
    def filter(self) -> Filter:
        """The condition for MongoDB."""
        return {} if self.where is None else to_mongo(self.where)

    def as_of_now(self) -> "Interest":
        """Return it by the rule as of now."""
        principal, rules = self.access.principal, self.collection.description.rules
        decision = rules.decide("watch", principal) if self.depends_on_time else self.decision
        where = visibility.condition(self.collection, decision, self.query)
        return replace(self, decision=decision, where=where)

    def told(self, change: StoredChange, texts: Texts, earlier: Node | None = None) -> Told | None:
        """Return what a change is to those who share this; None where it is nothing to them.

        `earlier` is the condition as it was before, where that depends on time.
        """
        before, after = change.before, change.after
        was = before is not None and (
            self._holds(before) or (earlier is not None and matches(earlier, before))
        )
        if after is not None and self._holds(after):
            why = "change" if was else "create" if change.operation == "insert" else "enter"
            return Told("put", why, self.text(after, texts), after["_id"], after.get("_version"))
        if not was:
            return None
        last = before if after is None else after
        why = "delete" if after is None else "leave"
        return Told("gone", why, b"", change.id, None if last is None else last.get("_version"))

    def _holds(self, document: Mapping[str, Any]) -> bool:
        return self.where is None or matches(self.where, document)

    def text(self, document: Mapping[str, Any], texts: Texts) -> bytes:
        """Return a stored document that fulfils the condition as JSON, as this caller sees it."""
        text = texts.get(self.view_key)
        if text is None:
            view = visibility.view(self.collection, self.decision, dict(document))
            if self.selection is not None:
                view = masks.shown(view, masks.selecting(self.selection))
            text = texts[self.view_key] = bytes(memoryview(dump(view)))
        return text


def of_list(access: Access, query: ListQuery) -> Interest:
    """Return the interest in the documents of a list; raises ParameterInvalid, SignInRequired, Forbidden."""
    return _interest(access, query)


def of_document(access: Access, document_id: Any, query: ListQuery) -> Interest:
    """Return the interest in one document; `query` says what is shown of it."""
    return _interest(access, replace(query, where=Compare(("id",), "eq", document_id)))


def _interest(access: Access, query: ListQuery) -> Interest:
    decision = access.permit("watch")
    where = visibility.condition(access.collection, decision, query)
    # Equal definitions are the same object: of a newer one, other fields may be hidden.
    masked = f"{id(access.collection)} {'' if decision.shows_all else repr(decision.grants)}"
    # What depends on time is of one caller: its conditions change while the stream is open.
    own = f"{id(access)}" if decision.moment is not None else ""
    rights = blake2b(_lasting(decision, access).encode(), digest_size=RIGHTS_BYTES).digest()
    selection = query.selection
    asked = None if query.where is None else to_mongo(query.where)
    asks_for = list_id(f"changes of {access.collection.name} {selection!r}", asked, [])
    key = f"{own} {masked} {rights.hex()} {asks_for.hex()} {where!r}"
    view_key = masked, selection
    return Interest(access, query.where, selection, query, decision, where, view_key, rights, key, asks_for)


def _lasting(decision: Decision, access: Access) -> str:
    """Describe what a decision shows, without what changes with time alone: then by the caller's values."""
    if decision.moment is None:
        return repr((decision.where, [grant.fields for grant in decision.grants]))
    principal = access.principal
    own = (
        principal.id,
        sorted(principal.roles),
        principal.email,
        principal.is_email_verified,
        principal.name,
    )
    attributes = sorted(principal.attributes.items())
    return repr((own, attributes, [(grant.position, grant.fields) for grant in decision.grants]))
