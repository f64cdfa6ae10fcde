"""Definitions of collections, for administrators."""

from typing import Any

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath

from service.collections import change
from service.collections.registry import Collection
from service.documents import patches, preconditions
from service.documents.encoding import dump
from service.http.audit_context import audit_context
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
from service.http.routing import delete, patch, post, put, route
from service.http.services import Services, services_of
from service.kit.errors import (
    DefinitionInvalid,
    MethodNotAllowed,
    ParameterInvalid,
    PatchInvalid,
    Violation,
)


class CollectionsController(Controller):
    """`/api/collections`: what each collection is."""

    path = "/api/collections"
    opt = {FOR_API_KEYS: "collections"}
    guards = [HasRole("admin")]

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def list_collections(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give every definition with its number of documents."""
        only_parameters(request)
        collections = services.registry.all()
        return json_response(dump({"data": [await _view(collection) for collection in collections]}))

    @post("/")
    async def create_collection(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Create a collection."""
        only_parameters(request)
        body = _object(await json_of(request))
        registry = services.registry
        collection = await change.create(registry, body, principal(request).id, audit_context(request))
        return await _answer(collection, status_code=201, Location=f"/api/collections/{collection.name}")

    @route("/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def get_collection(
        self, request: AnyRequest, name: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give one definition."""
        only_parameters(request)
        collection = services.registry.get(name)
        return tagged_response(request, dump({"data": await _view(collection)}), _tag(collection))

    @put("/{name:str}")
    async def replace_collection(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        """Replace one definition."""
        only_parameters(request)
        collection = _changeable(request, name)
        body = _own_members(_object(await json_of(request)), await _view(collection))
        return await _replace(request, collection, body)

    @patch("/{name:str}")
    async def patch_collection(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        """Apply a merge patch to one definition."""
        only_parameters(request)
        collection = _changeable(request, name)
        body = await json_of(request, (MERGE_PATCH, JSON))
        if not isinstance(body, dict):
            raise PatchInvalid("A merge patch for a definition is an object")
        view = await _view(collection)
        return await _replace(request, collection, _own_members(patches.merge(view, body), view))

    @delete("/{name:str}", status_code=200)
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
        return json_response(dump({"data": {"name": name, "documents_deleted": deleted}}))


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
