"""Why the rules of a collection decide as they do, for administrators."""

from typing import Annotated, Any

from litestar import Controller, Response
from litestar.di import NamedDependency
from pydantic import ConfigDict, Field, WithJsonSchema

from models.base import utc_now
from service.access import explaining
from service.access.decisions import ALLOWED
from service.access.explaining import Case, Explanation, Judgement
from service.access.principals import Principal
from service.access.rules import VERBS, Verb
from service.collections.registry import Collection
from service.documents import encoding, ids, patches, reading
from service.documents.access import Access
from service.documents.redaction import Redacted
from service.documents.write_policy import WritePolicy
from service.http import idempotent
from service.http.bodies import Data, ResponseBody
from service.http.contract.operations import Answer, Operation, json_body
from service.http.guards import HasRole, principal
from service.http.requests import (
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
)
from service.http.routing import post
from service.http.services import Services
from service.identity.core import accounts
from service.identity.core.sessions import principal_of
from service.kit import forms
from service.kit.errors import (
    CollectionNotFound,
    DocumentInvalid,
    DocumentNotFound,
    Forbidden,
    IdInvalid,
    Violation,
    suggestion,
)
from service.kit.forms import Form

_AS = (
    "The caller: `anyone`, null, or an object of `id`, `roles`, `email`, "
    "`email_verified`, `name`, `attributes`, as far as they matter."
)


def _schema(description: str, *types: str) -> WithJsonSchema:
    return WithJsonSchema({"type": types[0] if len(types) == 1 else [*types], "description": description})


class RuleQuestion(Form):
    """A caller, described in `as` or an account by `user_id`, and perhaps a document, stored or made up."""

    collection: str
    verb: Annotated[str, WithJsonSchema({"enum": list(VERBS)})]
    caller: Any = Field(None, alias="as", description=_AS)
    user_id: Annotated[str | None, _schema("An account, instead of `as`.", "string")] = None
    document_id: Annotated[str | int | None, _schema("A document that is there.", "string", "integer")] = None
    document: Annotated[dict[str, Any] | None, _schema("A document that need not be there.", "object")] = None
    changes: Annotated[
        dict[str, Any] | None, _schema("For `update`: a merge patch of that document.", "object")
    ] = None

    @classmethod
    def read(cls, value: Any) -> tuple["RuleQuestion", Verb]:
        """Read a question and its verb; raises DocumentInvalid with every fault."""
        question = forms.read(cls, value)
        verb = next((each for each in VERBS if each == question.verb), None)
        given = question.model_fields_set
        violations = []
        if verb is None:
            detail = f"`{question.verb[:40]}` is not one of {', '.join(VERBS)}"
            violations.append(Violation(detail, "enum", "/verb", hint=suggestion(question.verb[:40], VERBS)))
        if ("caller" in given) is ("user_id" in given):
            violations.append(Violation("give one of `as` and `user_id`", "form", "/as"))
        if "document_id" in given and "document" in given:
            violations.append(Violation("give one of `document_id` and `document`", "form", "/document"))
        if "document_id" in given and verb == "create":
            violations.append(Violation("what is created has no id yet", "form", "/document_id"))
        if "changes" in given and (verb != "update" or not given & {"document_id", "document"}):
            violations.append(Violation("only the update of a document has changes", "form", "/changes"))
        if violations or verb is None:
            raise DocumentInvalid(violations[0].detail, errors=violations)
        return question, verb


class ExplainedAlternative(ResponseBody):
    """One alternative of a rule; what it demands is there when it admits the caller."""

    model_config = ConfigDict(extra="ignore")

    pointer: str
    admits: bool
    reason: str
    where: dict[str, Any] | None = None
    check: dict[str, Any] | None = None
    set: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None


class RuleExplanation(ResponseBody):
    """What the rules decide, and why."""

    model_config = ConfigDict(extra="ignore")

    collection: str
    verb: Verb
    caller: dict[str, Any] | None
    allowed: bool
    reason: str
    deciding: Annotated[list[str], Field(description="Pointers of what allows it.")]
    filter: Annotated[
        dict[str, Any] | None,
        Field(description="What narrows the documents, as a filter with the caller's values."),
    ]
    alternatives: list[ExplainedAlternative]
    seen: Annotated[dict[str, Any] | None, Field(description="What a read shows of the document.")]
    result: Annotated[dict[str, Any] | None, Field(description="What a write would store.")]


_EXAMPLE = {
    "collection": "films",
    "verb": "update",
    "as": {"id": "5f2b1c3d4e5f60718293a4b5", "roles": ["editor"]},
}


class RulesController(Controller):
    """`/api/rules`."""

    path = "/api/rules"
    guards = [HasRole("admin")]

    @post(
        "/explain",
        status_code=200,
        operation=Operation(
            id="explainRules",
            tag="Definitions",
            summary="What the rules let somebody do, and why",
            answers=(Answer(200, "The decision.", Data[RuleExplanation]),),
            failures=(Forbidden, CollectionNotFound, DocumentNotFound, IdInvalid),
            bodies=json_body(RuleQuestion, _EXAMPLE),
        ),
    )
    @idempotent.takes_key
    async def explain_rules(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Say what the rules let somebody do, with which document, and why; nothing is changed."""
        only_parameters(request)
        question, verb = RuleQuestion.read(await json_of(request))
        collection = services.registry.get(question.collection)
        caller = await _caller(question)
        access = Access(collection, caller)
        case = await _case(access, principal(request), question, verb)
        decision = access.decide(verb)
        judged = explaining.judge(collection.description.schema, decision, caller, verb, case)
        is_of_document = case != Case()
        explanation = Explanation(
            collection.description.rules, verb, caller, decision, judged, is_of_document
        )
        body = RuleExplanation(
            collection=collection.name,
            verb=verb,
            caller=None if caller.id is None else {"id": caller.id, "roles": sorted(caller.roles)},
            **explanation.as_json(utc_now()),
            seen=judged.seen,
            result=_result(collection, judged),
        )
        return json_response(Data.of(body).to_json())


async def _caller(question: RuleQuestion) -> Principal:
    if question.user_id is None:
        return explaining.read_caller(question.caller, "/as")
    return principal_of(await accounts.get(question.user_id), "")


async def _case(access: Access, administrator: Principal, question: RuleQuestion, verb: Verb) -> Case:
    """Return the document asked about; raises DocumentNotFound, DocumentInvalid."""
    collection = access.collection
    if question.document_id is not None:
        document_id = ids.parse(collection, str(question.document_id))
        present = await reading.get_decoded(Access(collection, administrator), document_id)
        case = Case(present, encoding.as_json(collection, present))
        return _changed(access, case, question.changes)
    schema = collection.description.schema
    try:
        case = explaining.case_of(schema, verb, question.document, question.document)
        changed = _changed(access, case, question.changes)
        explaining.stored_form(schema, changed.restored(changed.asked or {}))
    except DocumentInvalid as failure:
        raise failure.below("/document") from None
    return changed


def _changed(access: Access, case: Case, changes: dict[str, Any] | None) -> Case:
    """Return a case with a merge patch as its change, which is made, as always, of what the caller sees."""
    if changes is None or case.present is None or case.before is None:
        return case
    mask = WritePolicy(ALLOWED, access.decide("get")).mask(case.present)
    redacted = Redacted(case.before, access.collection.description.schema, mask)
    asked: dict[str, Any] = patches.merge(redacted.document, changes)
    return Case(case.present, redacted.document, asked, redacted.restored)


def _result(collection: Collection, judged: Judgement) -> dict[str, Any] | None:
    """Return what a write would store, as clients see it."""
    if judged.verdict is None or judged.verdict.result is None:
        return None
    return encoding.view(collection, dict(judged.verdict.result))
