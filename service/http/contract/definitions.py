"""Operations on the definitions of collections, and on the contract itself."""

from typing import Any

from service.access.rules import GROUPS, VERBS, WORDS
from service.access.rules.words import MASKS, MAXIMUM_ALTERNATIVES
from service.collections.description import MEMBERS
from service.collections.indexes import MEMBERS as INDEX_MEMBERS
from service.collections.names import NAME
from service.collections.options import ID_TYPES
from service.collections.rule_tests import MAXIMUM_RULE_TESTS, RuleTest
from service.http.contract.names import reference
from service.http.contract.operations import JSON, MERGE_PATCH, NOT_MODIFIED, Answer, Body, Operation, data
from service.kit.errors import (
    CollectionChanged,
    CollectionExists,
    CollectionNotFound,
    DefinitionInvalid,
    Duplicate,
    Forbidden,
    MethodNotAllowed,
    ParameterInvalid,
    PatchInvalid,
    SignInRequired,
    Stale,
)

Schema = dict[str, Any]

_TAG = "Definitions"
_PATH = "/api/collections/{name}"
_NAME: Schema = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The collection's name.",
    "schema": {"type": "string", "minLength": 1},
    "example": "films",
}
_GUARDED = (SignInRequired, Forbidden, ParameterInvalid)
_EXAMPLE: dict[str, Any] = {
    "name": "films",
    "schema": {
        "type": "object",
        "properties": {"title": {"type": "string", "minLength": 1}, "year": {"type": "integer"}},
        "required": ["title"],
        "additionalProperties": False,
    },
    "rules": {"read": "anyone", "create": "user", "update": ["owner", "role:editor"]},
    "indexes": [{"fields": ["title", "-year"], "unique": True}],
}
_PARTS: dict[str, Schema] = {
    "schema": {"type": "object", "description": "JSON Schema 2020-12 of the documents, for an object."},
    "rules": {
        "type": "object",
        "description": "Who may do what: an alternative or a list of them for each of "
        f"{', '.join((*GROUPS, *VERBS))}. An alternative is one of the words {', '.join(WORDS)} and "
        "`role:…`, or an object.",
        "propertyNames": {"enum": [*GROUPS, *VERBS]},
        "additionalProperties": reference("Rule"),
    },
    "rule_tests": {
        "type": "array",
        "maxItems": MAXIMUM_RULE_TESTS,
        "description": "Who may do what in examples: a definition whose rules decide otherwise is refused.",
        "items": reference("RuleTest"),
    },
    "indexes": {
        "type": "array",
        "description": f"Indexes, each with some of {', '.join(INDEX_MEMBERS)}.",
        "items": {"type": "object"},
    },
    "options": {
        "type": "object",
        "description": f"`id_type`: {', '.join(ID_TYPES)}.",
    },
}
"""What is told of the members of a definition; others that there are may be anything."""


def schemas() -> dict[str, Schema]:
    """Give the schemas of definitions: as they are read, created, replaced and patched."""
    parts = {name: _PARTS.get(name, {}) for name in MEMBERS}
    name: Schema = {"type": "string", "pattern": f"^{NAME.pattern}$"}
    kept: dict[str, Schema] = {
        "source": {
            "enum": ["code", "runtime"],
            "description": "Whether a class or a definition describes it.",
        },
        "count": {"type": "integer", "minimum": 0, "description": "How many documents there are, roughly."},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "_version": {"type": "integer", "minimum": 1},
    }
    read = {"name": name, **parts, **kept}
    told = {"name": name, **parts}
    return {
        **_rules(),
        "Definition": {"type": "object", "required": list(read), "properties": read},
        "NewDefinition": {
            "type": "object",
            "required": ["name", "schema"],
            "properties": told,
            "additionalProperties": False,
        },
        "ChangedDefinition": {
            "type": "object",
            "required": ["schema"],
            "properties": read,
            "additionalProperties": False,
        },
        "DefinitionChange": {"type": "object", "properties": {each: {} for each in read}},
        "DeletedCollection": {
            "type": "object",
            "required": ["name", "documents_deleted"],
            "properties": {"name": name, "documents_deleted": {"type": "integer", "minimum": 0}},
        },
    }


def _rules() -> dict[str, Schema]:
    """Give the schemas of one verb's rule, of an alternative, and of a test."""
    condition: Schema = {"type": "object", "minProperties": 1}
    paths: Schema = {"type": "array", "items": {"type": "string"}}
    alternative: Schema = {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"type": "string", "description": f"One of {', '.join(WORDS)}, or a role's name."},
            "where": {**condition, "description": "Which documents, of those that are there."},
            "check": {**condition, "description": "What the result of a write has to fulfil."},
            "set": {"type": "object", "minProperties": 1, "description": "Fields that a write sets."},
            "fields": {
                "description": "What may be read, or written: a list of paths, or `only` or `except` these.",
                "anyOf": [
                    paths,
                    *({"type": "object", "required": [word], "properties": {word: paths}} for word in MASKS),
                ],
            },
        },
        "additionalProperties": False,
    }
    several: Schema = {"type": "array", "minItems": 1, "maxItems": MAXIMUM_ALTERNATIVES}
    named = reference("RuleAlternative")
    tested: dict[str, Schema] = {field.alias or name: {} for name, field in RuleTest.model_fields.items()}
    return {
        "Rule": {"anyOf": [named, {**several, "items": named}]},
        "RuleAlternative": {"anyOf": [{"type": "string"}, alternative]},
        "RuleTest": {
            "type": "object",
            "required": ["verb", "expect"],
            "properties": {**tested, "verb": {"enum": list(VERBS)}, "expect": {"enum": ["allow", "deny"]}},
            "additionalProperties": False,
        },
    }


def operations() -> list[Operation]:
    """Give these operations."""
    return [*_all(), *_one(), _contract()]


def _all() -> list[Operation]:
    definition = reference("Definition")
    return [
        Operation(
            method="get",
            path="/api/collections",
            id="listDefinitions",
            tag=_TAG,
            summary="All definitions",
            answers=(Answer(200, "The definitions.", data({"type": "array", "items": definition})),),
            failures=_GUARDED,
        ),
        Operation(
            method="post",
            path="/api/collections",
            id="createCollection",
            tag=_TAG,
            summary="Create a collection",
            answers=(Answer(201, "The definition.", data(definition), ("ETag", "Location")),),
            failures=(*_GUARDED, DefinitionInvalid, CollectionExists, Duplicate),
            bodies={JSON: Body(reference("NewDefinition"), _EXAMPLE)},
        ),
    ]


def _one() -> list[Operation]:
    answer = Answer(200, "The definition.", data(reference("Definition")), ("ETag",))
    change = Body(reference("DefinitionChange"), {"rules": {"read": "anyone"}})
    changing = (*_GUARDED, CollectionNotFound, DefinitionInvalid, CollectionChanged, Stale, MethodNotAllowed)
    replacing = Body(reference("ChangedDefinition"), {**_EXAMPLE, "rules": {"read": "user"}})
    confirm: Schema = {
        "name": "confirm",
        "in": "query",
        "required": True,
        "description": "The name again: with the collection go its documents.",
        "schema": {"type": "string"},
        "example": "films",
    }
    return [
        Operation(
            method="get",
            path=_PATH,
            id="getDefinition",
            tag=_TAG,
            summary="One definition",
            answers=(answer, NOT_MODIFIED),
            failures=(*_GUARDED, CollectionNotFound),
            parameters=(_NAME, "If-None-Match"),
        ),
        Operation(
            method="put",
            path=_PATH,
            id="replaceDefinition",
            tag=_TAG,
            summary="Replace a definition",
            answers=(answer,),
            failures=changing,
            parameters=(_NAME, "If-Match"),
            bodies={JSON: replacing},
        ),
        Operation(
            method="patch",
            path=_PATH,
            id="patchDefinition",
            tag=_TAG,
            summary="Change a definition by a merge patch",
            answers=(answer,),
            failures=(*changing, PatchInvalid),
            parameters=(_NAME, "If-Match"),
            bodies={MERGE_PATCH: change, JSON: change},
        ),
        Operation(
            method="delete",
            path=_PATH,
            id="deleteCollection",
            tag=_TAG,
            summary="Delete a collection and its documents",
            answers=(Answer(200, "What was deleted.", data(reference("DeletedCollection"))),),
            failures=(*_GUARDED, CollectionNotFound, CollectionChanged, Stale, MethodNotAllowed),
            parameters=(_NAME, confirm, "If-Match"),
        ),
    ]


def _contract() -> Operation:
    return Operation(
        method="get",
        path="/api/openapi.json",
        id="getContract",
        tag="Contract",
        summary="This contract, as far as the caller may use it",
        answers=(
            Answer(200, "OpenAPI 3.1.", {"type": "object"}, ("ETag",)),
            NOT_MODIFIED,
        ),
        failures=(ParameterInvalid,),
        parameters=("If-None-Match",),
        access="perhaps",
    )
