"""The operation that explains what rules decide."""

from typing import Any

from service.access.rules import VERBS
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.http.rule_bodies import Question
from service.kit.errors import (
    CollectionNotFound,
    DocumentInvalid,
    DocumentNotFound,
    Forbidden,
    IdInvalid,
    ParameterInvalid,
    SignInRequired,
)

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}

_DESCRIPTIONS: dict[str, Schema] = {
    "collection": _TEXT,
    "verb": {"enum": list(VERBS)},
    "as": {
        "description": "The caller: `anyone`, null, or an object of `id`, `roles`, `email`, "
        "`email_verified`, `name`, `attributes`, as far as they matter."
    },
    "user_id": {"type": "string", "description": "An account, instead of `as`."},
    "document_id": {"type": ["string", "integer"], "description": "A document that is there."},
    "document": {"type": "object", "description": "A document that need not be there."},
    "changes": {"type": "object", "description": "For `update`: a merge patch of that document."},
}

_QUESTION: dict[str, Any] = {
    "collection": "films",
    "verb": "update",
    "as": {"id": "5f2b1c3d4e5f60718293a4b5", "roles": ["editor"]},
}

_ALTERNATIVE: Schema = {
    "type": "object",
    "required": ["pointer", "admits", "reason"],
    "properties": {
        "pointer": _TEXT,
        "admits": {"type": "boolean"},
        "reason": _TEXT,
        **dict.fromkeys(("where", "check", "set", "fields"), _OBJECT_OR_NULL),
    },
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of the question and of its answer."""
    names = [field.alias or name for name, field in Question.model_fields.items()]
    told: dict[str, Schema] = {
        "collection": _TEXT,
        "verb": _DESCRIPTIONS["verb"],
        "caller": _OBJECT_OR_NULL,
        "allowed": {"type": "boolean"},
        "reason": _TEXT,
        "deciding": {"type": "array", "items": _TEXT, "description": "Pointers of what allows it."},
        "filter": {
            **_OBJECT_OR_NULL,
            "description": "What narrows the documents, as a filter with the caller's values.",
        },
        "alternatives": {"type": "array", "items": _ALTERNATIVE},
        "seen": {**_OBJECT_OR_NULL, "description": "What a read shows of the document."},
        "result": {**_OBJECT_OR_NULL, "description": "What a write would store."},
    }
    return {
        "RuleQuestion": {
            "type": "object",
            "required": ["collection", "verb"],
            "properties": {name: _DESCRIPTIONS[name] for name in names},
            "additionalProperties": False,
        },
        "RuleExplanation": {"type": "object", "required": list(told), "properties": told},
    }


def operations() -> list[Operation]:
    """Give this operation."""
    return [
        Operation(
            method="post",
            path="/api/rules/explain",
            id="explainRules",
            tag="Definitions",
            summary="What the rules let somebody do, and why",
            answers=(Answer(200, "The decision.", data(reference("RuleExplanation"))),),
            failures=(
                *(SignInRequired, Forbidden, ParameterInvalid),
                *(CollectionNotFound, DocumentInvalid, DocumentNotFound, IdInvalid),
            ),
            bodies={JSON: Body(reference("RuleQuestion"), _QUESTION)},
        )
    ]
