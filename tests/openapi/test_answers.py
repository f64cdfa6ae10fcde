"""What the service answers is what the contract says of the operation, in status, headers and body."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from tests.openapi.conftest import ServiceWithCollections
from tests.openapi.definitions import KINDS_DOCUMENT

MERGE = "application/merge-patch+json"
ID = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True)
class ContractClient:
    """A client that checks every answer against the contract, and every accepted body too."""

    service: ServiceWithCollections
    contract: Any
    who: str

    async def ask(self, method: str, path: str, /, status: int, **request: Any) -> httpx.Response:
        request["headers"] = self.service.people[self.who] | request.get("headers", {})
        answer = await self.service.client.request(method, path, **request)
        assert answer.status_code == status, answer.text
        operation = self._operation(method, path.partition("?")[0])
        self._check(self._resolved(operation["responses"][str(status)]), answer)
        if "json" in request and status < 300:
            media_type = request["headers"].get("Content-Type", "application/json")
            schema = operation["requestBody"]["content"][media_type]["schema"]
            self._validate(schema, request["json"])
        return answer

    def _operation(self, method: str, path: str) -> Any:
        found = self.contract["paths"].get(path) or next(
            methods
            for template, methods in self.contract["paths"].items()
            if re.fullmatch(ID.sub("[^/]+", template), path)
        )
        return found[method.lower()]

    def _resolved(self, part: Any) -> Any:
        if "$ref" not in part:
            return part
        _, _, kind, name = part["$ref"].split("/")
        return self.contract["components"][kind][name]

    def _check(self, told: Any, answer: httpx.Response) -> None:
        for name, header in told.get("headers", {}).items():
            assert name in answer.headers or not self._resolved(header).get("required"), name
        if not answer.content:
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        self._validate(told["content"][media_type]["schema"], answer.json())

    def _validate(self, schema: Any, value: Any) -> None:
        whole = {"components": self.contract["components"], "allOf": [schema]}
        faults = [
            f"{list(each.absolute_path)}: {each.message[:300]}"
            for each in Draft202012Validator(whole).iter_errors(value)
        ]
        assert faults == []


@pytest.fixture
async def root(service: ServiceWithCollections) -> ContractClient:
    return ContractClient(service, await service.contract(), "admin")


@pytest.fixture
async def ann(service: ServiceWithCollections) -> ContractClient:
    return ContractClient(service, await service.contract("ann"), "ann")


async def test_documents_with_every_kind_of_field_match_the_contract(ann: ContractClient) -> None:
    body = KINDS_DOCUMENT | {"secret": "x"}
    made = (await ann.ask("POST", "/api/kinds", 201, json=body)).json()["data"]
    path = f"/api/kinds/{made['id']}"
    read = (await ann.ask("GET", path, 200)).json()["data"]
    assert {name: read[name] for name in KINDS_DOCUMENT} == KINDS_DOCUMENT
    tag = {"If-None-Match": f'"{read["_version"]}"'}
    await ann.ask("GET", path, 304, headers=tag)
    await ann.ask("GET", f"{path}?fields=text,nested.a", 200)
    await ann.ask("PUT", path, 200, json=read)  # what was read can be put back
    await ann.ask("PUT", path, 200, json={"text": "shorter"})
    minimal = {"Prefer": "return=minimal"}
    await ann.ask("PUT", path, 204, json={"text": "shorter"}, headers=minimal)
    await ann.ask("PATCH", path, 200, json={"nested": {"a": 1, "deeper": None}, "perhaps": None, "big": 5})
    await ann.ask("PATCH", path, 200, json={"big": None, "unheard": None}, headers={"Content-Type": MERGE})
    await ann.ask("PATCH", path, 204, json={"whole": 3}, headers=minimal)
    await ann.ask("PATCH", path, 412, json={"whole": 3}, headers={"If-Match": '"1"'})
    await ann.ask("PATCH", path, 400, json={"whole": "many"})
    await ann.ask("DELETE", path, 204)
    await ann.ask("GET", path, 404)
    await ann.ask("GET", "/api/kinds/none", 400)


async def test_json_patch_and_operations_match_the_contract(ann: ContractClient) -> None:
    made = (await ann.ask("POST", "/api/kinds", 201, json=KINDS_DOCUMENT)).json()["data"]
    path = f"/api/kinds/{made['id']}"
    steps = [
        {"op": "test", "path": "/whole", "value": 7},
        {"op": "copy", "from": "/whole", "path": "/number"},
        {"op": "add", "path": "/labels/-", "value": "c"},
        {"op": "remove", "path": "/nested"},
    ]
    await ann.ask("PATCH", path, 200, json=steps, headers={"Content-Type": "application/json-patch+json"})
    operations = {"inc": {"whole": 2}, "push": {"labels": "d"}, "unset": ["day"], "max": {"number": 3}}
    media_type = {"Content-Type": "application/vnd.sheaf.operations+json"}
    changed = await ann.ask("PATCH", path, 200, json=operations, headers=media_type)
    assert changed.json()["data"]["whole"] == 9


async def test_lists_match_the_contract(ann: ContractClient) -> None:
    await ann.ask("POST", "/api/kinds", 201, json=[KINDS_DOCUMENT] * 3)
    first = (await ann.ask("GET", "/api/kinds?limit=1&sort=-whole&count=exact", 200)).json()
    after = (await ann.ask("GET", f"/api/kinds?limit=1&sort=-whole&cursor={first['next']}", 200)).json()
    assert "page" not in after
    await ann.ask("GET", "/api/kinds?fields=text&q=hello&count=estimated", 200)
    await ann.ask("GET", "/api/kinds?fields=text&q=hello", 200)
    await ann.ask("GET", "/api/kinds?filter[whole][gte]=1&filter[day]=2026-11-22", 200)
    conditions = {"or": [{"whole": {"in": [7]}}, {"not": {"labels": {"all": ["a"]}}}], "nested.a": 1}
    query = {
        "filter": conditions,
        "sort": ["-whole", "text"],
        "fields": ["text"],
        "limit": 2,
        "count": "exact",
    }
    await ann.ask("POST", "/api/kinds/query", 200, json=query)
    await ann.ask("POST", "/api/kinds/query", 400, json={"filter": {"none": 1}})
    await ann.ask("GET", "/api/kinds/queries", 200)
    await ann.ask("GET", "/api/kinds/queries/by-choice?least=1&choices=small,large", 200)
    await ann.ask("GET", "/api/kinds/queries/by-choice?least=few", 400)


async def test_bulk_requests_match_the_contract(ann: ContractClient) -> None:
    named = {"text": "bulk", "whole": 1}
    await ann.ask("POST", "/api/kinds", 201, json=[named, named])
    await ann.ask("PATCH", "/api/kinds?filter[text]=bulk&max_affected=5", 200, json={"whole": 2})
    await ann.ask("PATCH", "/api/kinds?filter[text]=bulk&max_affected=1", 409, json={"whole": 3})
    await ann.ask("DELETE", "/api/kinds?filter[text]=bulk", 400)
    await ann.ask("DELETE", "/api/kinds?filter[text]=bulk&max_affected=5", 200)
    await ann.ask("POST", "/api/kinds", 400, json=[named, {"text": 1}])


async def test_batch_matches_the_contract(ann: ContractClient) -> None:
    operations: list[dict[str, Any]] = [
        {"op": "create", "collection": "kinds", "document": KINDS_DOCUMENT, "as": "first"},
        {"op": "patch", "collection": "kinds", "id": {"_ref": "first"}, "patch": {"whole": 1}, "if_match": 1},
        {"op": "get", "collection": "kinds", "id": {"_ref": "first"}},
        {"op": "delete", "collection": "kinds", "id": {"_ref": "first"}},
    ]
    await ann.ask("POST", "/api/batch", 200, json={"operations": operations})
    failing = [{"op": "get", "collection": "kinds", "id": "0" * 24}]
    await ann.ask("POST", "/api/batch", 200, json={"atomic": False, "operations": failing})
    await ann.ask("POST", "/api/batch", 404, json={"operations": failing})
    await ann.ask("POST", "/api/batch", 400, json={"operations": []})


async def test_recursive_schemas_client_ids_and_upserts_match_the_contract(ann: ContractClient) -> None:
    path = "/api/trees/2eb8aa08-aa98-41ea-b4aa-73b441d16380"
    leaf = {"value": 2, "pin": "x"}
    await ann.ask("PUT", path, 404, json=leaf)
    await ann.ask("PUT", f"{path}?upsert=true", 201, json={"value": 1, "children": [leaf]})
    read = (await ann.ask("GET", path, 200)).json()["data"]
    assert read["children"] == [{"value": 2}]
    body = {"id": "2eb8aa08-aa98-41ea-b4aa-73b441d16381", "value": 1}
    await ann.ask("POST", "/api/trees", 201, json=body)
    await ann.ask("POST", "/api/trees", 409, json=body)
    await ann.ask("PATCH", path, 200, json={"children": [{"value": 3}]})


async def test_expanded_references_match_the_contract(ann: ContractClient) -> None:
    made = (await ann.ask("POST", "/api/kinds", 201, json=KINDS_DOCUMENT)).json()["data"]
    circle = {"id": "c1", "kind": "circle", "radius": 1.5, "author": made["id"], "name": "one"}
    await ann.ask("POST", "/api/shapes", 201, json=circle | {"inner": {"by": made["id"]}, "x-y": "z"})
    await ann.ask("GET", "/api/shapes/c1", 200)
    answer = await ann.ask("GET", "/api/shapes/c1?expand=author,inner.by", 200)
    assert answer.json()["data"]["inner"]["_expanded"]["by"]["text"] == "hello"
    await ann.ask("GET", "/api/shapes?expand=author", 200)
    await ann.ask("PATCH", "/api/shapes/c1", 200, json={"radius": None, "kind": "square"})


async def test_collection_with_required_concurrency_matches_the_contract(root: ContractClient) -> None:
    made = (await root.ask("POST", "/api/loose-ends", 201, json={"open": "a", "b": [1]})).json()["data"]
    path = f"/api/loose-ends/{made['id']}"
    await root.ask("PATCH", path, 428, json={"a": "x"})
    changed = {"open": None, "hidden": "x"}
    await root.ask("PATCH", path, 200, json=changed, headers={"If-Match": '"1"'})
    assert "hidden" not in (await root.ask("GET", path, 200)).json()["data"]


async def test_accounts_and_profile_match_the_contract(service: ServiceWithCollections) -> None:
    nobody = ContractClient(service, await service.contract("nobody"), "nobody")
    account = {"email": "ada@example.com", "password": "correct horse battery staple"}
    await nobody.ask("POST", "/api/auth/register", 201, json=account)
    await nobody.ask("POST", "/api/auth/register", 409, json=account)
    await nobody.ask("POST", "/api/auth/login", 401, json=account | {"password": "wrong"})
    granted = (await nobody.ask("POST", "/api/auth/login", 200, json=account)).json()["data"]
    ada = {"Authorization": f"Bearer {granted['access_token']}"}
    await nobody.ask("GET", "/api/profile", 200, headers=ada)
    await nobody.ask("PATCH", "/api/profile", 200, headers=ada, json={"name": "Ada"})
    await nobody.ask("GET", "/api/profile", 401)
    await nobody.ask("GET", "/api/collections", 403, headers=ada)


async def test_definitions_and_health_match_the_contract(root: ContractClient) -> None:
    for path in ("", "/live", "/ready"):
        await root.ask("GET", f"/api/health{path}", 200)
    films = {"name": "films", "schema": {"type": "object", "properties": {"year": {"type": "integer"}}}}
    await root.ask("POST", "/api/collections", 201, json=films)
    await root.ask("POST", "/api/collections", 409, json=films)
    await root.ask("POST", "/api/collections", 400, json={"name": "Films"})
    await root.ask("GET", "/api/collections", 200)
    read = (await root.ask("GET", "/api/collections/films", 200)).json()["data"]
    await root.ask("PUT", "/api/collections/films", 200, json=read)
    await root.ask("PATCH", "/api/collections/films", 200, json={"rules": {"read": "anyone"}})
    await root.ask("PATCH", "/api/collections/products", 405, json={})
    await root.ask("DELETE", "/api/collections/films", 400)
    await root.ask("DELETE", "/api/collections/films?confirm=films", 200)
    await root.ask("GET", "/api/collections/films", 404)


async def test_methods_outside_the_contract_return_405(root: ContractClient) -> None:
    for path, methods in root.contract["paths"].items():
        place = path.replace("{id}", "1" * 24).replace("{name}", "kinds")
        for method in {"get", "post", "put", "patch", "delete", "trace"} - set(methods):
            answer = await root.service.client.request(method, place, headers=root.service.people["admin"])
            assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed"), (method, path)
            allowed = {each.strip().lower() for each in answer.headers["allow"].split(",")}
            assert allowed - {"head", "options"} == set(methods), path
