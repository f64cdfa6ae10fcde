"""Why the rules of a collection decide as they do, for administrators."""

from typing import Any

from litestar import Controller, Response

from models.base import utc_now
from service.access import explaining
from service.access.decisions import ALLOWED
from service.access.explaining import Case, Explanation, Judgement
from service.access.principals import Principal
from service.access.rules import Verb
from service.collections.registry import Collection
from service.documents import encoding, ids, patches, reading
from service.documents.access import Access
from service.documents.concealing import Concealed
from service.documents.encoding import dump
from service.documents.terms import Terms
from service.http import idempotent, rule_bodies
from service.http.guards import HasRole, principal
from service.http.requests import (
    AnyRequest,
    collection_of,
    json_of,
    json_response,
    only_parameters,
)
from service.http.routing import post
from service.http.rule_bodies import Question
from service.identity.core import accounts
from service.identity.core.sessions import principal_of
from service.kit.errors import DocumentInvalid


class RulesController(Controller):
    """`/api/rules`."""

    path = "/api/rules"
    guards = [HasRole("admin")]

    @post("/explain", status_code=200)
    @idempotent.takes_key
    async def explain_rules(self, request: AnyRequest) -> Response[bytes]:
        """Say what the rules let somebody do, with which document, and why; nothing is changed."""
        only_parameters(request)
        question, verb = rule_bodies.read(await json_of(request))
        collection = collection_of(request, question.collection)
        caller = await _caller(question)
        case = await _case(collection, principal(request), caller, question, verb)
        schema = collection.description.schema
        decision = Access(collection, caller).decide(verb)
        judged = explaining.judge(schema, decision, caller, verb, case)
        is_of_document = case != Case()
        explanation = Explanation(
            collection.description.rules, verb, caller, decision, judged, is_of_document
        )
        told = {
            "collection": collection.name,
            "verb": verb,
            "caller": None if caller.id is None else {"id": caller.id, "roles": sorted(caller.roles)},
            **explanation.as_json(utc_now()),
            "seen": judged.seen,
            "result": _result(collection, judged),
        }
        return json_response(dump({"data": told}))


async def _caller(question: Question) -> Principal:
    if question.user_id is None:
        return explaining.read_caller(question.caller, "/as")
    return principal_of(await accounts.get(question.user_id), "")


async def _case(
    collection: Collection, administrator: Principal, caller: Principal, question: Question, verb: Verb
) -> Case:
    """Give the document asked about; raises DocumentNotFound, DocumentInvalid."""
    if question.document_id is not None:
        document_id = ids.parse(collection, str(question.document_id))
        present = await reading.get_decoded(Access(collection, administrator), document_id)
        case = Case(present, encoding.as_json(collection, present))
        return _changed(collection, caller, case, question.changes)
    schema = collection.description.schema
    try:
        case = explaining.case_of(schema, verb, question.document, question.document)
        changed = _changed(collection, caller, case, question.changes)
        explaining.stored_form(schema, changed.restored(changed.asked or {}))
    except DocumentInvalid as failure:
        raise failure.below("/document") from None
    return changed


def _changed(collection: Collection, caller: Principal, case: Case, changes: dict[str, Any] | None) -> Case:
    """Give a case with a merge patch as its change, which is made, as always, of what the caller sees."""
    if changes is None or case.present is None or case.before is None:
        return case
    mask = Terms(ALLOWED, Access(collection, caller).decide("get")).mask(case.present)
    concealed = Concealed(case.before, collection.description.schema, mask)
    asked: dict[str, Any] = patches.merge(concealed.document, changes)
    return Case(case.present, concealed.document, asked, concealed.restored)


def _result(collection: Collection, judged: Judgement) -> dict[str, Any] | None:
    """Give what a write would store, as clients see it."""
    if judged.verdict is None or judged.verdict.result is None:
        return None
    return encoding.view(collection, dict(judged.verdict.result))
