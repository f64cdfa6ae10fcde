"""What administrators ask about the rules of a collection: who, by which verb, on which document."""

from typing import Any

from pydantic import Field

from service.access.rules import VERBS, Verb
from service.kit import forms
from service.kit.errors import DocumentInvalid, Violation, suggestion
from service.kit.forms import Form


class Question(Form):
    """A caller, described in `as` or an account by `user_id`, and perhaps a document, stored or made up.

    `changes` is a merge patch of it, for `update`.
    """

    collection: str
    verb: str
    caller: Any = Field(None, alias="as")
    user_id: str | None = None
    document_id: str | int | None = None
    document: dict[str, Any] | None = None
    changes: dict[str, Any] | None = None


def read(value: Any) -> tuple[Question, Verb]:
    """Read a question and its verb; raises DocumentInvalid with every fault."""
    question = forms.read(Question, value)
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
