"""Why the rules of a collection decide as they do, for administrators."""

from dataclasses import replace
from typing import Any

from litestar import Controller, Response, post

from models.base import utc_now
from service.access import callers, judging, rule_bodies
from service.access.explaining import Explanation
from service.access.judging import Case, Judgement
from service.access.principals import Principal
from service.access.rule_bodies import Question
from service.access.rules import Verb
from service.controllers import once
from service.controllers.requests import AnyRequest, collection_of, json_of, json_response, only_parameters
from service.documents import encoding, ids, patches, reading
from service.documents.encoding import dump
from service.errors import DocumentInvalid
from service.guards import HasRole, principal
from service.identity import accounts
from service.identity.sessions import principal_of
from service.registry import Collection


class RulesController(Controller):
    """`/api/rules`."""

    path = "/api/rules"
    guards = [HasRole("admin")]

    @post("/explain", status_code=200)
    @once.takes_key
    async def explain_rules(self, request: AnyRequest) -> Response[bytes]:
        """Say what the rules let somebody do, with which document, and why; nothing is changed."""
        only_parameters(request)
        question, verb = rule_bodies.read(await json_of(request))
        collection = collection_of(request, question.collection)
        caller = await _caller(question)
        case = await _case(collection, principal(request), question, verb)
        schema = collection.description.schema
        decision = reading.decide(collection, caller, verb)
        judged = judging.judge(schema, decision, caller, verb, case)
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
        return callers.read(question.caller, "/as")
    return principal_of(await accounts.get(question.user_id), "")


async def _case(collection: Collection, administrator: Principal, question: Question, verb: Verb) -> Case:
    """Give the document asked about; raises DocumentNotFound, DocumentInvalid."""
    if question.document_id is not None:
        document_id = ids.parse(collection, str(question.document_id))
        present = await reading.get(collection, administrator, document_id)
        before = encoding.as_json(collection, present)
        return Case(present, before, _changed(question, before))
    schema = collection.description.schema
    try:
        case = judging.case_of(schema, verb, question.document, question.document)
        if question.document is None or question.changes is None:
            return case
        changed = _changed(question, question.document)
        judging.stored(schema, changed or {})
    except DocumentInvalid as failure:
        raise failure.below("/document") from None
    return replace(case, asked=changed)


def _changed(question: Question, before: dict[str, Any]) -> dict[str, Any] | None:
    if question.changes is None:
        return None
    changed: dict[str, Any] = patches.merge(before, question.changes)
    return changed


def _result(collection: Collection, judged: Judgement) -> dict[str, Any] | None:
    """Give what a write would store, as clients see it."""
    if judged.verdict is None or judged.verdict.result is None:
        return None
    return encoding.view(collection, dict(judged.verdict.result))
