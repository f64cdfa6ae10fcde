"""Saved queries, stage by stage: by the rules of all collections that they read, bounded in time and size."""

from dataclasses import dataclass
from typing import Any

from service.access.principals import Principal
from service.collections.registry import Collection, Registry
from service.documents import encoding
from service.documents.access import Access
from service.kit.errors import (
    DefinitionInvalid,
    Failure,
    QueryNotFound,
    QueryTooExpensive,
    QueryUnfit,
    suggestion,
)
from service.query.fields import Field
from service.saved_queries import narrowing
from service.saved_queries.definition import SavedQuery
from service.saved_queries.limits import MAXIMUM_ANSWER_BYTES, TIME_LIMIT_S
from service.saved_queries.parameters import Values, fill
from service.saved_queries.shapes import without_hidden
from service.schema.encoding import with_text_forms
from service.storage.errors import DatabaseError
from service.storage.plans import PipelinePlan, ReadRefused, Reason


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A saved query as it runs for one caller; `query` says how its documents are written."""

    query: SavedQuery
    pipeline: PipelinePlan


def find(collection: Collection, name: str) -> SavedQuery:
    """Return a collection's query of a name; raises QueryNotFound."""
    queries = collection.description.queries
    if name not in queries:
        detail = f"`{collection.name}` has no query `{name[:80]}`"
        raise QueryNotFound(detail, hint=suggestion(name[:64], queries))
    return queries[name]


def plan(
    registry: Registry, access: Access, query: SavedQuery, parameters: list[tuple[str, str]]
) -> QueryPlan:
    """Return how a query runs for a caller, with a request's parameters.

    Raises ParameterInvalid; SignInRequired or Forbidden when the caller may not list this collection, or read
    one that the query looks up; QueryUnfit.
    """
    decision = access.permit("list")
    given, encoded = query.parameters.read(parameters)
    narrowed = {name: _narrowing(registry, access.principal, name) for name in sorted(query.collections)}
    present = _over_present(query, registry)
    values = Values(given, encoded, narrowed)
    stages = [*narrowing.stages(decision), *fill(present.stages, values), {"$limit": query.limit}]
    return QueryPlan(
        present, PipelinePlan(access.collection.name, stages, TIME_LIMIT_S, MAXIMUM_ANSWER_BYTES)
    )


async def execute(registry: Registry, access: Access, planned: QueryPlan) -> bytes:
    """Run a query, and write each document as it is read; return `{"data": […]}`.

    Raises QueryTooExpensive, QueryUnfit.
    """
    query = planned.query
    try:
        written = await access.collection.store.aggregate(
            planned.pipeline, lambda document: encoding.dump(_view(query, document))
        )
    except ReadRefused as refused:
        raise _refusal(refused.reason) from None
    except DatabaseError as error:
        if error.timeout and await registry.database.is_reachable():
            raise _too_expensive(f"takes longer than {TIME_LIMIT_S:g} seconds") from None
        raise
    return b'{"data":[%b]}' % b",".join(written)


def _view(query: SavedQuery, document: dict[str, Any]) -> dict[str, Any]:
    if "_id" in document:
        document = {("id" if name == "_id" else name): value for name, value in document.items()}
    view: dict[str, Any] = with_text_forms(document, query.root, query.told)
    return view


def _narrowing(registry: Registry, principal: Principal, name: str) -> list[dict[str, Any]]:
    """Return the stages that leave of another collection what the caller may read there."""
    other = _other(registry, name)
    decision = Access(other, principal).permit("get")
    return [*narrowing.stages(decision), *without_hidden(other.description.schema.root)[1]]


def _over_present(query: SavedQuery, registry: Registry) -> SavedQuery:
    def fields_of(name: str) -> Field:
        return without_hidden(_other(registry, name).description.schema.root)[0]

    try:
        return query.over(fields_of)
    except DefinitionInvalid as failure:
        raise QueryUnfit(
            f"The query `{query.name}` does not fit what it looks up any more: {failure.detail}"
        ) from None


def _other(registry: Registry, name: str) -> Collection:
    found = {each.name: each for each in registry.all()}.get(name)
    if found is None:
        raise QueryUnfit(f"The query looks up `{name}`, and there is no such collection any more")
    return found


def _refusal(reason: Reason) -> Failure:
    if reason == "answer_too_large":
        return _too_expensive(f"gives more than {MAXIMUM_ANSWER_BYTES // 2**20} MiB")
    if reason == "document_too_large":
        return _too_expensive("makes a document of more than MongoDB's 16 MB")
    if reason == "memory_exceeded":
        return _too_expensive("needs more memory than a stage may have")
    detail = "A document holds a value that the query cannot compute with"
    return QueryUnfit(detail, hint="Have its pipeline `match` the documents that it can.")


def _too_expensive(what: str) -> QueryTooExpensive:
    hint = (
        "Narrow it by its parameters, or have its pipeline match fewer documents before it groups or sorts."
    )
    return QueryTooExpensive(f"The query {what}", hint=hint)
