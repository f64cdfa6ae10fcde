"""Definitions of collections, for administrators."""

from typing import Annotated, Any

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import Field

from service.access.rules import GROUPS, VERBS, WORDS
from service.access.rules.words import MASKS, MAXIMUM_ALTERNATIVES
from service.collections import change
from service.collections.description import CONCURRENCY, ID_TYPES, MEMBERS
from service.collections.indexes import MEMBERS as INDEX_MEMBERS
from service.collections.names import NAME
from service.collections.registry import Collection
from service.collections.rule_tests import MAXIMUM_RULE_TESTS, RuleTest
from service.documents import patches, preconditions
from service.documents.encoding import dump
from service.http.audit_context import audit_context
from service.http.bodies import Count, Data, ResponseBody
from service.http.contract.operations import (
    NOT_MODIFIED,
    Answer,
    Operation,
    data,
    in_path,
    json_body,
    merge_patch,
    query,
)
from service.http.contract.schemas import reference
from service.http.guards import FOR_API_KEYS, HasRole, principal
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
    tagged_response,
)
from service.http.routing import delete, get, patch, post, put
from service.http.services import Services, services_of
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
    Stale,
    Violation,
)

Schema = dict[str, Any]

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
        "properties": {
            "id_type": {"enum": [*ID_TYPES, None], "description": "The type of ids; it cannot change later."},
            "concurrency": {"enum": [*CONCURRENCY], "description": "Whether changes need `If-Match`."},
            "live": {
                "type": ["boolean", "null"],
                "description": "Whether changes can be watched; they can where nothing is said, if the "
                "service's database can tell them.",
            },
        },
        "additionalProperties": False,
    },
}
"""What is told of the members of a definition; others that there are may be anything."""


def _schemas() -> dict[str, Schema]:
    """Return the schemas of definitions: as they are read, created, replaced and patched."""
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
    }


def _rules() -> dict[str, Schema]:
    """Return the schemas of one verb's rule, of an alternative, and of a test."""
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


SCHEMAS = _schemas()
_CHANGED = (Forbidden, CollectionNotFound, DefinitionInvalid, CollectionChanged, Stale, MethodNotAllowed)
_NAME = in_path("name", "The collection's name.", "films")
_DEFINITION = Answer(200, "The definition.", data(reference("Definition")), ("ETag",))


class DeletedCollection(ResponseBody):
    """What was deleted."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    documents_deleted: Count


class CollectionsController(Controller):
    """`/api/collections`: what each collection is."""

    path = "/api/collections"
    opt = {FOR_API_KEYS: "collections"}
    guards = [HasRole("admin")]

    @get(
        "/",
        operation=Operation(
            id="listDefinitions",
            tag="Definitions",
            summary="All definitions",
            answers=(
                Answer(200, "The definitions.", data({"type": "array", "items": reference("Definition")})),
            ),
            failures=(Forbidden,),
            schemas=SCHEMAS,
        ),
    )
    async def list_collections(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return every definition with its number of documents."""
        only_parameters(request)
        collections = services.registry.all()
        return json_response(dump({"data": [await _view(collection) for collection in collections]}))

    @post(
        "/",
        operation=Operation(
            id="createCollection",
            tag="Definitions",
            summary="Create a collection",
            answers=(Answer(201, "The definition.", data(reference("Definition")), ("ETag", "Location")),),
            failures=(Forbidden, DefinitionInvalid, CollectionExists, Duplicate),
            bodies=json_body(reference("NewDefinition"), _EXAMPLE),
            schemas=SCHEMAS,
        ),
    )
    async def create_collection(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Create a collection."""
        only_parameters(request)
        body = _object(await json_of(request))
        registry = services.registry
        collection = await change.create(registry, body, principal(request).id, audit_context(request))
        return await _answer(collection, status_code=201, Location=f"/api/collections/{collection.name}")

    @get(
        "/{name:str}",
        operation=Operation(
            id="getDefinition",
            tag="Definitions",
            summary="One definition",
            answers=(_DEFINITION, NOT_MODIFIED),
            failures=(Forbidden, CollectionNotFound),
            parameters=(_NAME, "If-None-Match"),
            schemas=SCHEMAS,
        ),
    )
    async def get_collection(
        self, request: AnyRequest, name: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return one definition."""
        only_parameters(request)
        collection = services.registry.get(name)
        return tagged_response(request, dump({"data": await _view(collection)}), _tag(collection))

    @put(
        "/{name:str}",
        operation=Operation(
            id="replaceDefinition",
            tag="Definitions",
            summary="Replace a definition",
            answers=(_DEFINITION,),
            failures=_CHANGED,
            parameters=(_NAME, "If-Match"),
            bodies=json_body(reference("ChangedDefinition"), {**_EXAMPLE, "rules": {"read": "user"}}),
            schemas=SCHEMAS,
        ),
    )
    async def replace_collection(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        """Replace one definition."""
        only_parameters(request)
        collection = _changeable(request, name)
        body = _own_members(_object(await json_of(request)), await _view(collection))
        return await _replace(request, collection, body)

    @patch(
        "/{name:str}",
        operation=Operation(
            id="patchDefinition",
            tag="Definitions",
            summary="Change a definition by a merge patch",
            answers=(_DEFINITION,),
            failures=(*_CHANGED, PatchInvalid),
            parameters=(_NAME, "If-Match"),
            bodies=merge_patch(reference("DefinitionChange"), {"rules": {"read": "anyone"}}),
            schemas=SCHEMAS,
        ),
    )
    async def patch_collection(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        """Apply a merge patch to one definition."""
        only_parameters(request)
        collection = _changeable(request, name)
        body = await json_of(request, (MERGE_PATCH, JSON))
        if not isinstance(body, dict):
            raise PatchInvalid("A merge patch for a definition is an object")
        view = await _view(collection)
        return await _replace(request, collection, _own_members(patches.merge(view, body), view))

    @delete(
        "/{name:str}",
        status_code=200,
        operation=Operation(
            id="deleteCollection",
            tag="Definitions",
            summary="Delete a collection and its documents",
            answers=(Answer(200, "What was deleted.", Data[DeletedCollection]),),
            failures=(Forbidden, CollectionNotFound, CollectionChanged, Stale, MethodNotAllowed),
            parameters=(
                _NAME,
                query(
                    "confirm",
                    "The name again: with the collection go its documents.",
                    required=True,
                    example="films",
                ),
                "If-Match",
            ),
        ),
    )
    async def delete_collection(
        self, request: AnyRequest, name: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Delete one collection with its documents, when `confirm` repeats its name."""
        collection = _changeable(request, name)
        if only_parameters(request, ("confirm",)).get("confirm") != name:
            count = await change.count(collection)
            raise ParameterInvalid(
                f"Deleting `{name}` deletes its {count} documents",
                hint=f"Repeat the name: DELETE /api/collections/{name}?confirm={name}",
                errors=[Violation("the name is not repeated", "required", parameter="confirm")],
            )
        preconditions_of(request, collection)
        version = collection.version if "if-match" in request.headers else None
        deleted = await change.delete(services.registry, name, version, audit_context(request))
        return json_response(Data.of(DeletedCollection(name=name, documents_deleted=deleted)).to_json())


def preconditions_of(request: AnyRequest, collection: Collection) -> None:
    """Check `If-Match` against a definition's version; raises Stale."""
    expected = preconditions.read_if_match(request.headers.get("if-match"))
    if expected is not None:
        expected.check({"_version": collection.version})


async def _replace(request: AnyRequest, collection: Collection, body: dict[str, Any]) -> Response[bytes]:
    preconditions_of(request, collection)
    return await _answer(
        await change.replace(services_of(request).registry, collection, body, audit_context(request))
    )


def _changeable(request: AnyRequest, name: str) -> Collection:
    collection = services_of(request).registry.get(name)
    if collection.source == "code":
        raise MethodNotAllowed(
            f"`{name}` is described by a class in `models/`, which only code can change",
            headers={"Allow": "GET, HEAD"},
        )
    return collection


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        violation = Violation("the definition is not an object", "type", pointer="")
        raise DefinitionInvalid(violation.detail, errors=[violation])
    return body


KEPT = ("name", "source", "count", "warnings", "_version")
"""Members of a definition that the service keeps; a body may repeat them."""


def _own_members(body: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    violations = [
        Violation(f"`{name}` is kept by the service", "system_field", pointer=f"/{name}")
        for name in KEPT
        if name in body and name not in {"count", "warnings"} and body[name] != view.get(name)
    ]
    if violations:
        raise DefinitionInvalid(violations[0].detail, errors=violations)
    return {name: part for name, part in body.items() if name not in KEPT}


def _tag(collection: Collection) -> str:
    return preconditions.tag({"_version": collection.version})


async def _view(collection: Collection) -> dict[str, Any]:
    return {
        "name": collection.name,
        "source": collection.source,
        **collection.description.source,
        "count": await change.count(collection),
        "warnings": collection.description.rules.warnings(),
        "_version": collection.version,
    }


async def _answer(collection: Collection, status_code: int = 200, **headers: str) -> Response[bytes]:
    headers["ETag"] = _tag(collection)
    return json_response(dump({"data": await _view(collection)}), status_code=status_code, headers=headers)
