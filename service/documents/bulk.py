"""Many documents of one collection at once: created, changed or deleted, all of them or none."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from service.collections.registry import Collection
from service.documents import encoding, visibility
from service.documents.access import Access
from service.documents.apply_patch import ApplyPatch
from service.documents.build_document import BuildDocument
from service.documents.patches import Patch
from service.documents.preconditions import Expected
from service.documents.write_policy import WritePolicy
from service.documents.writing import origin_of
from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    BodyTooLarge,
    DocumentInvalid,
    Duplicate,
    Failure,
    IdInvalid,
    PreconditionRequired,
    Stale,
    Violation,
)
from service.kit.json_values import escape_pointer
from service.kit.tasks import Breather
from service.query import Node, conjoin
from service.query.mongo import unsearchable
from service.query.parse import ChangeQuery
from service.storage.plans import CreateMany, DeleteMany, Matching, UpdateMany, Written
from service.storage.refusals import NoTextIndex, RefusedOne

MAXIMUM_DOCUMENTS = 1000
"""Documents that one request creates, changes or deletes at the most."""

MAXIMUM_BYTES = 64 * 1024 * 1024
"""How large the documents that one request changes may be together, as JSON: all are held in memory."""

Document: TypeAlias = dict[str, Any]


async def create(access: Access, documents: Sequence[Any]) -> CreateMany:
    """Plan the creation of documents from a client's JSON, all or none.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid, Forbidden, Duplicate, each violation with the
    document's index at the front of its pointer; as the plan does where the rule looks at ids that are yet to
    be made.
    """
    builder = BuildDocument.of(access)
    if not 1 <= len(documents) <= MAXIMUM_DOCUMENTS:
        detail = f"An array creates 1 to {MAXIMUM_DOCUMENTS} documents, and this one has {len(documents)}"
        raise DocumentInvalid(detail, errors=[Violation(detail, "length", pointer="")])
    origin = origin_of(access, "bulk")
    kind = access.collection.description.options.id_kind
    if builder.looks_at_id:
        bare = [{"_id": None} if builder.brings_id(body) else {} for body in documents]
        return CreateMany(bare, origin, kind, partial(_build_all, builder, documents))
    return CreateMany(await _build_all(builder, documents, ()), origin, kind)


def update(access: Access, query: ChangeQuery, change: Patch, expected: Expected | None) -> UpdateMany:
    """Plan a change of every document that fulfils the query and that the caller may see and change.

    A document that the change leaves as it is keeps its version. The plan raises TooManyAffected,
    BodyTooLarge, and what single changes raise, each violation with the document's id. Raises Stale,
    PreconditionRequired, ParameterInvalid.
    """
    _check(access, expected)
    policy = WritePolicy.of(access, "update")
    change_each = ApplyToEach(ApplyPatch(access.collection, policy, change))
    return UpdateMany(_matching(access, policy.write.where, query), change_each, origin_of(access, "bulk"))


def delete(access: Access, query: ChangeQuery, expected: Expected | None) -> DeleteMany:
    """Plan the deletion of every document that fulfils the query and that the caller may see and delete.

    The plan raises TooManyAffected. Raises Stale, PreconditionRequired, ParameterInvalid.
    """
    _check(access, expected)
    where = access.permit("delete").where
    return DeleteMany(_matching(access, where, query), origin_of(access, "bulk"))


async def execute(access: Access, plan: CreateMany | UpdateMany | DeleteMany) -> Written:
    """Execute a plan; has failures name the document that they are about, by its index or its id."""
    try:
        return await access.collection.store.write(plan)
    except RefusedOne as refused:
        if isinstance(plan, CreateMany):
            raise refused.failure.below(escape_pointer(refused.position)) from None
        raise _named(access.collection, refused.document, refused.failure) from None
    except NoTextIndex:
        raise unsearchable(access.collection.description.schema.root) from None


@dataclass(frozen=True, slots=True)
class ApplyToEach:
    """One patch of many documents."""

    applied: ApplyPatch

    async def outcomes(self, present: AsyncIterator[Document]) -> AsyncIterator[tuple[Document, Document]]:
        """Yield each document with what takes its place, which is itself where nothing changes."""
        refusals = Refusals()
        size = 0
        breather = Breather()
        async for before in present:
            await breather.breathe()
            try:
                after = self.applied.outcome(before)
            except Failure as failure:
                refusals.add(_named(self.applied.collection, before, failure))
                continue
            if not self.applied.is_altered(before, after):
                after = before
            size += len(encoding.dump(after))
            if size > MAXIMUM_BYTES:
                raise BodyTooLarge(
                    f"The documents are larger than {MAXIMUM_BYTES} bytes together; change fewer at once"
                )
            yield before, after
        refusals.raise_if_any()


class Refusals:
    """The failures of single documents, each with its place told in its violations."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []
        self._count = 0

    def add(self, failure: Failure) -> None:
        """Note why one document is refused; raises all that is known when no more could be told."""
        self._failures.append(failure)
        self._count += len(failure.errors)
        if self._count >= MAXIMUM_VIOLATIONS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise one failure for all: of their own class when they have one, else DocumentInvalid."""
        if not self._failures:
            return
        if len(self._failures) == 1:
            raise self._failures[0]
        kinds = {type(failure) for failure in self._failures}
        kind = kinds.pop() if len(kinds) == 1 else DocumentInvalid
        detail = f"{len(self._failures)} documents have {self._count} faults"
        raise kind(detail, errors=[each for failure in self._failures for each in failure.errors])


async def _build_all(
    builder: BuildDocument, documents: Sequence[Any], made_ids: Sequence[Any]
) -> list[Document]:
    """Return all the documents as they are stored; raises what is wrong with any.

    Those that bring no id get one of `made_ids`, and none where that is empty.
    """
    ids = iter(made_ids)
    built: list[Document] = []
    refusals = Refusals()
    breather = Breather()
    for index, body in enumerate(documents):
        await breather.breathe()
        try:
            built.append(builder.build(body, None if builder.brings_id(body) else next(ids, None)))
        except IdInvalid as failure:
            refusals.add(failure.below(escape_pointer(index) + "/id"))
        except Failure as failure:
            refusals.add(failure.below(escape_pointer(index)))
    refusals.raise_if_any()
    _refuse_repeated(built)
    return built


def _refuse_repeated(built: Sequence[Document]) -> None:
    """Raise Duplicate when documents of one array bring the same id."""
    counts = Counter(document["_id"] for document in built if "_id" in document)
    violations = [
        Violation("the id is there more than once", "unique", pointer=f"/{index}/id")
        for index, document in enumerate(built)
        if "_id" in document and counts[document["_id"]] > 1
    ]
    if violations:
        raise Duplicate("Documents of the array have the same `id`", errors=violations)


def _check(access: Access, expected: Expected | None) -> None:
    """Raise unless the request says nothing of versions, or, where it has to, that any will do."""
    collection = access.collection
    if expected is None and collection.description.options.requires_if_match:
        raise PreconditionRequired(
            f"A change of a document of `{collection.name}` says which version it is of",
            hint="Send a batch of changes, each with its `if_match`, or If-Match: * if any version will do.",
        )
    if expected not in (None, Expected(None)):
        raise Stale(
            "A change by filter is for many documents, which have no version in common",
            hint="Send a batch of changes, each with its `if_match`.",
        )


def _matching(access: Access, where: Node | None, query: ChangeQuery) -> Matching:
    """Return which documents are meant; a filter also reads, so that it asks for the right to list."""
    listed = visibility.condition(access.collection, access.permit("list"), query)
    return Matching(conjoin(where, listed), query.maximum, query.search)


def _named(collection: Collection, document: Mapping[str, Any], failure: Failure) -> Failure:
    """Have every violation name the document that it is about."""
    shown = encoding.as_json(collection, {"_id": document["_id"]})["id"]
    whole = Violation(failure.detail, failure.code, pointer="", hint=failure.hint)
    failure.errors = tuple(replace(each, id=shown) for each in failure.errors or (whole,))
    return failure
