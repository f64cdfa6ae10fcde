"""Running a saved query: under the rules of all collections that it reads, bounded in time and size."""

from typing import Any, NoReturn

import pymongo
from bson.errors import InvalidBSON
from pymongo.errors import OperationFailure, PyMongoError

from service.access.principals import Principal
from service.collections.registry import Collection, Registry
from service.documents import encoding
from service.documents.access import Access
from service.kit.errors import (
    DefinitionInvalid,
    QueryNotFound,
    QueryTooExpensive,
    QueryUnfit,
    suggestion,
)
from service.query.fields import Field
from service.runtime import deadline
from service.saved_queries import narrowing
from service.saved_queries.definition import SavedQuery
from service.saved_queries.limits import MAXIMUM_ANSWER_BYTES, TIME_LIMIT_S
from service.saved_queries.parameters import Values, fill
from service.saved_queries.shapes import without_hidden
from service.schema.encoding import with_text_forms
from service.storage.codes import (
    FIRST_ASSERTION,
    MEMORY_EXCEEDED,
    RESULT_TOO_LARGE,
    RETRYABLE,
    UNFIT_VALUES,
)
from service.storage.timing import timed
from service.storage.transactions import session

BATCH = 100


def find(collection: Collection, name: str) -> SavedQuery:
    """Give a collection's query of a name; raises QueryNotFound."""
    queries = collection.description.queries
    if name not in queries:
        detail = f"`{collection.name}` has no query `{name[:80]}`"
        raise QueryNotFound(detail, hint=suggestion(name[:64], queries))
    return queries[name]


async def run(
    registry: Registry, access: Access, query: SavedQuery, parameters: list[tuple[str, str]]
) -> bytes:
    """Run a query for a caller with a request's parameters; gives `{"data": […]}`.

    Raises ParameterInvalid; SignInRequired or Forbidden when the caller may not list this collection, or read
    one that the query looks up; QueryTooExpensive; QueryUnfit.
    """
    decision = access.permit("list")
    given, encoded = query.parameters.read(parameters)
    narrowed = {name: _narrowing(registry, access.principal, name) for name in sorted(query.collections)}
    present = _over_present(query, registry)
    values = Values(given, encoded, narrowed)
    pipeline = [*narrowing.stages(decision), *fill(present.stages, values), {"$limit": query.limit}]
    try:
        with pymongo.timeout(deadline.at_most_s(TIME_LIMIT_S)):
            return await _answer(access.collection, present, pipeline)
    except InvalidBSON:  # a time beyond the year 9999
        raise _unfit() from None
    except PyMongoError as error:
        if error.timeout and await registry.database.is_reachable():
            raise _too_expensive(f"takes longer than {TIME_LIMIT_S:g} seconds") from None
        _translate(error)


async def _answer(collection: Collection, query: SavedQuery, pipeline: list[dict[str, Any]]) -> bytes:
    """Write the documents one by one, so that no more of them than an answer may hold is in memory."""
    cursor = collection.documents.aggregate(pipeline, allowDiskUse=False, batchSize=BATCH, session=session())
    written: list[bytes] = []
    size = 0
    with timed(collection.documents, {"aggregate": collection.name, "pipeline": pipeline}):
        async for document in cursor:
            written.append(encoding.dump(_view(query, document)))
            size += len(written[-1]) + 1
            if size > MAXIMUM_ANSWER_BYTES:
                await cursor.close()
                raise _too_expensive(f"gives more than {MAXIMUM_ANSWER_BYTES // 2**20} MiB")
    return b'{"data":[%b]}' % b",".join(written)


def _view(query: SavedQuery, document: dict[str, Any]) -> dict[str, Any]:
    if "_id" in document:
        document = {("id" if name == "_id" else name): value for name, value in document.items()}
    told: dict[str, Any] = with_text_forms(document, query.root, query.told)
    return told


def _narrowing(registry: Registry, principal: Principal, name: str) -> list[dict[str, Any]]:
    """Give the stages that leave of another collection what the caller may read there."""
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


def _translate(error: PyMongoError) -> NoReturn:
    code = error.code if isinstance(error, OperationFailure) else None
    if code is None or error.timeout or error.has_error_label(RETRYABLE):
        raise error
    if code in RESULT_TOO_LARGE:
        raise _too_expensive("makes a document of more than MongoDB's 16 MB") from None
    if code in MEMORY_EXCEEDED:
        raise _too_expensive("needs more memory than a stage may have") from None
    if code in UNFIT_VALUES or code >= FIRST_ASSERTION:
        raise _unfit() from None
    raise error


def _unfit() -> QueryUnfit:
    detail = "A document holds a value that the query cannot compute with"
    return QueryUnfit(detail, hint="Have its pipeline `match` the documents that it can.")


def _too_expensive(what: str) -> QueryTooExpensive:
    hint = (
        "Narrow it by its parameters, or have its pipeline match fewer documents before it groups or sorts."
    )
    return QueryTooExpensive(f"The query {what}", hint=hint)
