"""Applying a patch to a stored document, for somebody whose rules may bound what they see and write."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.base import SYSTEM_FIELDS, stored_now
from service.access.decisions import Grant, deciding
from service.access.writable import beyond
from service.collections.registry import Collection
from service.documents import body as bodies
from service.documents import encoding, write_policy
from service.documents.patches import Patch
from service.documents.preconditions import Expected, version_of
from service.documents.redaction import Redacted
from service.documents.write_policy import WritePolicy
from service.kit.errors import BodyTooLarge, Failure
from service.kit.json_values import are_written_alike
from service.query.tree import member_names
from service.schema import Schema


@dataclass(frozen=True, slots=True)
class ApplyPatch:
    """A patch, by somebody whose rules bound what they see and write, of the version that they expect."""

    collection: Collection
    policy: WritePolicy
    patch: Patch
    expected: Expected | None = None

    def outcome(self, present: dict[str, Any]) -> dict[str, Any]:
        """Return the document that takes the place of the present one, as it is stored, validated.

        The first grant decides that holds for the present document and allows what becomes of it. Raises
        Stale, DocumentInvalid, FieldNotWritable, BodyTooLarge, Forbidden, DocumentNotFound when no grant
        holds for the present document, and what the patch raises.
        """
        if self.expected is not None:
            self.expected.check(present)
        computation = _Computation(self, present)
        write = self.policy.write
        if write.is_plain:
            return computation.document(write.grants[0])
        verdict = deciding(write, present, computation.result, computation.beyond, write_policy.TOLERATED)
        if verdict.result is None:
            raise write_policy.refusal(self.collection, "update", verdict.refusals)
        return dict(verdict.result)

    def is_altered(self, present: dict[str, Any], changed: dict[str, Any]) -> bool:
        """Return whether an outcome is more than a new version of the document.

        Always, where the caller does not see all: else who sets a field to a guess would hear whether it was
        right.
        """
        schema = self.collection.description.schema
        if schema.hides_below(schema.root) or not self.policy.mask(present).shows_all:
            return True
        return _own(present) != _own(changed)

    def watched(self) -> frozenset[str]:
        """Return the names of the members whose new values the database alone may judge.

        Those that choose among the rule's alternatives, and those of unique and of geographic indexes.
        """
        looked_at = (name for where in self.policy.wheres for name in member_names(where))
        return frozenset((*looked_at, *_indexed(self.collection)))


class _Computation:
    """One patch of one document, by whichever grant is asked; redacted where the caller does not see all.

    Those whom `fields` bound do not see what is write-only either, or they would hear of each value that they
    may not write whether it was the present one.
    """

    def __init__(self, applied: ApplyPatch, present: dict[str, Any]) -> None:
        collection, policy = applied.collection, applied.policy
        schema = collection.description.schema
        self._collection = collection
        self._present = present
        self._patch = applied.patch
        self._before = encoding.as_json(collection, present)
        self._mask = policy.mask(present)
        self._redacted: Redacted | None = None
        is_bound = not policy.write.is_plain and schema.hides_below(schema.root)
        if is_bound or not self._mask.shows_all:
            self._redacted = Redacted(self._before, schema, self._mask)
        self._seen = self._before if self._redacted is None else self._redacted.document
        self._outcomes: dict[Hashable, dict[str, Any] | Failure] = {}

    def beyond(self, grant: Grant) -> tuple[tuple[str, ...], ...]:
        """Return the places that are changed and that the grant does not let be written."""
        own = {name: part for name, part in self._seen.items() if name not in bodies.SYSTEM_NAMES}
        return beyond(grant, own, self._asked(grant))

    def result(self, grant: Grant) -> dict[str, Any]:
        """Return the document that is stored; what grants have in common is found once for all of them."""
        key = (self._schema(grant), encoding.dump(grant.forced))
        return self._once(key, partial(self.document, grant))

    def document(self, grant: Grant) -> dict[str, Any]:
        """Return the document that is stored."""
        asked = self._ask(grant) if grant.is_plain else self._asked(grant)
        if grant.forced:
            asked = {**asked, **grant.forced}
        redacted = self._redacted
        document = asked if redacted is None else redacted.restored(asked)
        bodies.check(self._collection, self._schema(grant), document)
        size_bytes = len(encoding.dump(document)) if redacted is None else redacted.size_bytes(asked)
        limit_bytes = self._collection.document_limit_bytes
        if size_bytes > limit_bytes:
            raise BodyTooLarge(f"The document would be larger than a body may be, {limit_bytes} bytes")
        return self._stored(document)

    def _schema(self, grant: Grant) -> Schema:
        schema = self._collection.description.schema
        if grant.fields is None and self._mask.shows_all:
            return schema
        return schema.restricted(self._mask, write_policy.writable(grant))

    def _asked(self, grant: Grant) -> dict[str, Any]:
        """Return the own members that the client wants, with those as they are that the grant forces."""
        return self._once((self._schema(grant), *sorted(grant.forced)), partial(self._ask, grant))

    def _once(self, key: Hashable, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if key not in self._outcomes:
            try:
                self._outcomes[key] = find()
            except write_policy.TOLERATED as failure:
                self._outcomes[key] = failure
        outcome = self._outcomes[key]
        if isinstance(outcome, Failure):
            raise outcome
        return outcome

    def _ask(self, grant: Grant) -> dict[str, Any]:
        seen, schema = self._seen, self._collection.description.schema
        body = self._patch(seen, self._schema(grant), self._collection.document_limit_bytes)
        if grant.forced and isinstance(body, dict):
            kept = {name: seen[name] for name in grant.forced if name in seen}
            body = {**{name: part for name, part in body.items() if name not in grant.forced}, **kept}
        document = bodies.own_members(body, seen)
        violations = schema.read_only_violations(document, seen)
        violations += schema.read_only_removals(document, seen)
        if violations:
            raise bodies.refused(violations)
        return document if self._redacted is None else self._redacted.carried(document)

    def _stored(self, document: dict[str, Any]) -> dict[str, Any]:
        present, before = self._present, self._before
        encoded = self._collection.description.schema.encode(document)
        unchanged = {
            name: present[name]
            for name, value in document.items()
            if name in present and are_written_alike(value, before.get(name))
        }
        system = {name: present.get(name) for name in SYSTEM_FIELDS}
        system |= {"_version": version_of(present) + 1, "_updated_at": stored_now()}
        return {"_id": present["_id"], **encoded, **unchanged, **system}


def _indexed(collection: Collection) -> Iterator[str]:
    """Yield the names of the members that MongoDB may refuse a value of: in unique and geographic indexes."""
    for index in collection.description.indexes:
        if index.options.get("unique") or any(kind == "2dsphere" for _, kind in index.keys):
            for path, _ in index.keys:
                yield path.partition(".")[0]
            yield from _filtered(index.options.get("partialFilterExpression", {}))


def _filtered(condition: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the members that a filter of MongoDB's looks at."""
    for name, part in condition.items():
        if not name.startswith("$"):
            yield name.partition(".")[0]
        elif isinstance(part, list):
            for each in part:
                yield from _filtered(each)


def _own(document: dict[str, Any]) -> bytes:
    return encoding.dump({name: part for name, part in document.items() if name not in SYSTEM_FIELDS})
