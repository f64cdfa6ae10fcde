"""The contract is valid, complete, and has examples that are what they are examples of."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.kit.errors import catalogue
from tests.openapi.conftest import ServiceWithCollections

METHODS = ("get", "post", "put", "patch", "delete")
PLACE = re.compile(r"\{(\w+):\w+\}")


def operations(contract: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def validator(contract: Any, schema: Any) -> Draft202012Validator:
    whole = {"components": contract["components"], **({"allOf": [schema]} if schema is not True else {})}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("who", ["nobody", "ann", "keeper", "admin"])
async def test_contract_passes_an_independent_validator(service: ServiceWithCollections, who: str) -> None:
    contract = await service.contract(who)
    assert [error.message for error in OpenAPIV31SpecValidator(contract).iter_errors()] == []


async def test_every_reference_resolves(service: ServiceWithCollections) -> None:
    contract = await service.contract()

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            yield from (each for part in value.values() for each in references(part))
        elif isinstance(value, list):
            yield from (each for part in value for each in references(part))

    for reference in set(references(contract)):
        _, _, kind, name = reference.split("/")
        assert name in contract["components"][kind], reference


def concrete(path: str) -> str:
    """Return a route's path with the collection `kinds` and its query in it."""
    written = PLACE.sub(r"{\1}", path).replace("{document_id}", "{id}")
    written = written.replace("/api/{collection}", "/api/kinds")
    return written.replace("/queries/{name}", "/queries/by-choice")


async def test_contract_has_every_route_and_no_other(service: ServiceWithCollections) -> None:
    contract = await service.contract()
    told = {(path, method.upper()) for path, method, _ in operations(contract)}
    routes = {
        (concrete(route.path), method)
        for route in service.app.routes
        if route.path.startswith("/api")
        for method in getattr(route, "methods", ())
    } - {(concrete(route.path), "OPTIONS") for route in service.app.routes}
    others = {"trees", "shapes", "loose-ends", "loose_ends", "products"}
    told = {(path, method) for path, method in told if path.split("/")[2] not in others}
    heads = {(path, method) for path, method in routes if method == "HEAD"}
    assert {path for path, _ in heads} == {path for path, method in told if method == "GET"}
    assert routes - heads == told


async def test_contract_has_every_error_code(service: ServiceWithCollections) -> None:
    contract = await service.contract()
    schemas, responses = contract["components"]["schemas"], contract["components"]["responses"]
    used = {
        name.rpartition("/")[2]
        for _, _, operation in operations(contract)
        for answer in operation["responses"].values()
        if (name := answer.get("$ref"))
    }
    for failure in catalogue():
        name = f"Problem{failure.status}"
        assert failure.code in schemas[name]["allOf"][1]["properties"]["code"]["enum"]
        assert f"`{failure.code}`" in responses[name]["description"]
        assert name in used


async def test_operation_ids_are_unique(service: ServiceWithCollections) -> None:
    contract = await service.contract()
    names = [operation["operationId"] for _, _, operation in operations(contract)]
    assert len(set(names)) == len(names)
    assert {"listKinds", "createKinds", "getKindsById", "queryLooseEnds", "listLoose_ends"} <= set(names)
    tags = {tag["name"] for tag in contract["tags"]}
    assert {operation["tags"][0] for _, _, operation in operations(contract)} == tags


async def test_every_example_matches_its_schema(service: ServiceWithCollections) -> None:
    contract = await service.contract()
    count = 0
    for path, method, operation in operations(contract):
        answers = [each for each in operation["responses"].values() if "$ref" not in each]
        for part in (
            *answers,
            *contract["components"]["responses"].values(),
            operation.get("requestBody", {}),
        ):
            for media in part.get("content", {}).values():
                if "example" in media:
                    count += 1
                    faults = list(validator(contract, media["schema"]).iter_errors(media["example"]))
                    assert not faults, (path, method, faults[0])
    assert count > 50


async def test_example_of_each_collection_creates_a_document(service: ServiceWithCollections) -> None:
    contract = await service.contract()
    for name in ("kinds", "trees", "shapes", "loose-ends", "loose_ends", "products"):
        body = contract["paths"][f"/api/{name}"]["post"]["requestBody"]["content"]["application/json"]
        answer = await service.client.post(
            f"/api/{name}", json=body["example"], headers=service.people["admin"]
        )
        assert answer.status_code == 201, answer.text


async def test_patterns_that_other_engines_read_otherwise_are_left_out(
    service: ServiceWithCollections,
) -> None:
    schemas = (await service.contract())["components"]["schemas"]
    assert schemas["ShapesCreate"]["properties"]["coded"] == {"type": "string"}


async def test_extension_keywords_are_kept_and_unknown_ones_left_out(service: ServiceWithCollections) -> None:
    schemas = (await service.contract())["components"]["schemas"]
    created = schemas["ShapesCreate"]
    assert created["properties"]["author"]["x-collection"] == "kinds"
    assert schemas["ShapesCreate.short"] == {"type": "string", "maxLength": 3, "x-own": True}
    assert not {"discriminator", "$id", "$defs"} & set(created)
