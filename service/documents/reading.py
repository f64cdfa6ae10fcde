"""Reading documents: one by id, many by query; always narrowed by the collection's rule."""

from typing import Any

from pymongo.errors import OperationFailure

from service.access.principals import Principal
from service.access.rules import Verb
from service.errors import DocumentNotFound, Forbidden, ParameterInvalid, SignInRequired, Violation
from service.query import ListQuery, Node, conjoin, projection, sort_keys, to_mongo
from service.registry import Collection
from service.transactions import session

BAD_VALUE = 2


def permit(collection: Collection, principal: Principal, verb: Verb) -> Node | None:
    """Give the filter that the rule for a verb lays on this caller, None for no narrowing.

    Raises SignInRequired or Forbidden when the caller may not do it to any document. Every path to a document
    asks here.
    """
    decision = collection.description.rules.decide(verb, principal)
    if decision.allowed:
        return decision.where
    if principal.id is None:
        raise SignInRequired
    raise Forbidden(f"The rules of `{collection.name}` do not let you {verb} its documents")


def selector(document_id: Any, where: Node | None) -> dict[str, Any]:
    """Give the MongoDB filter for one document, if the rule lets it be seen."""
    by_id: dict[str, Any] = {"_id": document_id}
    return by_id if where is None else {"$and": [by_id, to_mongo(where)]}


async def get(collection: Collection, principal: Principal, document_id: Any) -> dict[str, Any]:
    """Read one stored document; raises DocumentNotFound when it is absent or hidden by the rule."""
    where = permit(collection, principal, "get")
    document: dict[str, Any] | None
    if where is None and session() is None:
        document = await collection.joined_reads.get(document_id)
    else:
        document = await collection.documents.find_one(selector(document_id, where), session=session())
    if document is None:
        raise DocumentNotFound
    return document


async def find(
    collection: Collection, principal: Principal, query: ListQuery
) -> tuple[list[dict[str, Any]], bool]:
    """Read one page of stored documents, and whether there are more after it."""
    where = conjoin(permit(collection, principal, "list"), query.where)
    cursor = collection.documents.find(
        {} if where is None else to_mongo(where),
        projection(query.selection),
        sort=sort_keys(query.sort),
        skip=(query.page - 1) * query.limit,
        limit=query.limit + 1,
        batch_size=query.limit + 1,
        session=session(),
    )
    try:
        # Not `to_list`, whose query stays in the driver's queue when its caller has given up.
        documents = [document async for document in cursor]
    except OperationFailure as error:
        if error.code == BAD_VALUE:  # the one thing in a parsed query that only the documents can make wrong
            detail = "two of the fields to sort by hold arrays in one document"
            violation = Violation(detail, "parallel_arrays", parameter="sort")
            raise ParameterInvalid(detail, errors=[violation]) from None
        raise
    return documents[: query.limit], len(documents) > query.limit
