"""Running saved queries: who sees what, how parameters are read, what is refused, what is bounded."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.saved_queries.shop import ShopService, open_shop

NAMES: list[dict[str, Any]] = [{"sort": "name"}, {"project": ["name"]}]
TYPED: dict[str, Any] = {
    "text": {"type": "string", "maxLength": 5, "default": ""},
    "number": {"type": "number", "minimum": 0, "default": 0},
    "whole": {"type": "integer", "default": 0},
    "flag": {"type": "boolean", "default": False},
    "either": {"type": ["integer", "string"], "default": 0},
    "maybe": {"type": ["number", "null"], "default": None},
    "time": {"type": "string", "format": "date-time", "default": "2026-01-01T00:00:00Z"},
    "day": {"type": "string", "format": "date", "default": "2026-01-01"},
    "amount": {"type": "string", "format": "decimal", "default": "1"},
    "long": {"type": "string", "format": "int64", "default": "1"},
    "which": {"type": "string", "enum": ["a", "b"], "default": "a"},
    "list": {"type": "array", "items": {"type": "number"}, "maxItems": 3, "default": []},
}
ECHO = {"group": {name: {"first": {"param": name}} for name in TYPED}}

QUERIES: dict[str, Any] = {
    "names": {"description": "Every name.", "pipeline": NAMES},
    "totals": {"pipeline": [{"group": {"total": {"sum": "price"}, "sellers": {"count_distinct": "_owner"}}}]},
    "echo": {"pipeline": [{"limit": 1}, ECHO], "parameters": TYPED},
    "needed": {
        "pipeline": [{"match": {"name": {"param": "name"}}}, *NAMES],
        "parameters": {"name": {"type": "string"}},
    },
    "top": {"pipeline": [{"limit": {"param": "n"}}, *NAMES], "parameters": {"n": {"type": "integer"}}},
    "containing": {
        "pipeline": [{"match": {"name": {"contains": {"param": "p"}}}}],
        "parameters": {"p": {"type": "string"}},
    },
    "two": {"pipeline": NAMES, "limit": 2},
    "echo_text": {
        "pipeline": [
            {"limit": 1},
            {
                "project": {
                    "x": {"param": "text"},
                    "y": {"concat": [{"value": "<"}, {"param": "text"}, {"value": ">"}]},
                    "z": {"if": [{"eq": ["name", {"value": "Desk"}]}, {"param": "text"}, {"param": "text"}]},
                    "same": {"eq": [{"param": "text"}, {"param": "text"}]},
                }
            },
        ],
        "parameters": {"text": {"type": "string"}},
    },
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["code-first", "runtime"])
async def shop(request: pytest.FixtureRequest, mongodb_uri: str) -> AsyncIterator[ShopService]:
    async with open_shop(mongodb_uri, QUERIES, is_code_first=request.param == "code-first") as opened:
        yield opened


async def refused(
    shop: ShopService, name: str, who: str | None = "ann", /, **given: str
) -> tuple[int, str, list[Any]]:
    answer = await shop.ask(name, who, **given)
    problem = answer.json()
    told = [(each["parameter"], each["code"]) for each in problem.get("errors", [])]
    return answer.status_code, problem["code"], told


@pytest.mark.parametrize(
    ("who", "total", "sellers"),
    [("ann", 125.5, 1), ("bob", 10.0, 1), ("buyer", 135.5, 2), ("admin", 135.5, 2)],
)
async def test_query_computes_only_with_documents_caller_may_list(
    shop: ShopService, who: str, total: float, sellers: int
) -> None:
    assert await shop.run("totals", who) == [{"total": total, "sellers": sellers}]


async def test_queries_require_right_to_list(shop: ShopService) -> None:
    for path in ("queries", "queries/totals", "queries/nothing"):
        answer = await shop.client.get(f"/api/sales/{path}")
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")


async def test_queries_are_listed_with_parameters(shop: ShopService) -> None:
    answer = await shop.client.get("/api/sales/queries", headers=shop.people["ann"])
    listed = {each.pop("name"): each for each in answer.json()["data"]}
    assert list(listed) == list(QUERIES)
    assert listed["names"] == {"description": "Every name.", "parameters": {}}
    assert listed["echo"] == {"description": "", "parameters": TYPED}


async def test_unknown_query_returns_404(shop: ShopService) -> None:
    answer = await shop.ask("nmes")
    assert (answer.status_code, answer.json()["code"]) == (404, "query.not_found")
    assert answer.json()["hint"] == "Did you mean `names`?"
    answer = await shop.client.get("/api/nothing/queries/names", headers=shop.people["ann"])
    assert (answer.status_code, answer.json()["code"]) == (404, "collection.not_found")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text", "1776", "1776"),
        ("text", "", ""),
        ("text", "null", "null"),
        ("number", "1776", 1776),
        ("number", "2.50", 2.5),
        ("number", "1e2", 100.0),
        ("whole", "-5", -5),
        ("flag", "true", True),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("maybe", "null", None),
        ("maybe", "5", 5),
        ("time", "2026-11-22T12:00:00+02:00", "2026-11-22T10:00:00.000Z"),
        ("day", "2026-11-22", "2026-11-22"),
        ("amount", "12.50", "12.50"),
        ("long", "9007199254740993", "9007199254740993"),
        ("which", "b", "b"),
        ("list", "1,2.5", [1, 2.5]),
        ("list", "", []),
    ],
)
async def test_parameter_is_parsed_by_its_schema(shop: ShopService, name: str, text: str, value: Any) -> None:
    (found,) = await shop.run("echo", **{name: text})
    assert found[name] == value
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("needed", {}, [("name", "required")]),
        ("needed", {"nam": "x"}, [("nam", "unknown_parameter"), ("name", "required")]),
        ("names", {"limit": "5"}, [("limit", "unknown_parameter")]),
        ("echo", {"number": "dear"}, [("number", "type")]),
        ("echo", {"number": "-1"}, [("number", "minimum")]),
        ("echo", {"number": "NaN", "flag": "yes"}, [("number", "type"), ("flag", "type")]),
        ("echo", {"number": "1e999"}, [("number", "type")]),
        ("echo", {"whole": "1.5"}, [("whole", "type")]),
        ("echo", {"whole": "9" * 30}, [("whole", "type")]),
        ("echo", {"text": "too long"}, [("text", "max_length")]),
        ("echo", {"time": "2026-13-01"}, [("time", "format")]),
        ("echo", {"day": "today"}, [("day", "format")]),
        ("echo", {"amount": "1,5"}, [("amount", "format")]),
        ("echo", {"which": "c"}, [("which", "enum")]),
        ("echo", {"list": "1,two"}, [("list", "type")]),
        ("echo", {"list": "1,2,3,4"}, [("list", "max_items")]),
        ("echo", {"list": ",".join("1" * 1001)}, [("list", "type")]),
        ("echo", {"number": "-1", "which": "c"}, [("number", "minimum"), ("which", "enum")]),
        ("top", {"n": "0"}, [("n", "range")]),
        ("top", {"n": "1001"}, [("n", "range")]),
    ],
)
async def test_invalid_parameter_returns_400_with_its_name(
    shop: ShopService, name: str, given: dict[str, str], told: list[tuple[str, str]]
) -> None:
    status, code, violations = await refused(shop, name, **given)
    assert (status, code, sorted(violations)) == (400, "parameter.invalid", sorted(told))


async def test_repeated_parameter_is_refused(shop: ShopService) -> None:
    answer = await shop.client.get("/api/sales/queries/top?n=1&n=2", headers=shop.people["ann"])
    assert answer.json()["errors"] == [
        {"parameter": "n", "code": "repeated", "detail": "`n` is there more than once"}
    ]


async def test_parameter_too_long_for_operator_returns_400(shop: ShopService) -> None:
    assert await refused(shop, "containing", p="x" * 1001) == (
        400,
        "parameter.invalid",
        [("p", "too_complex")],
    )


@pytest.mark.parametrize(
    "value",
    [
        "$name",
        "$$ROOT",
        "$secret",
        "{}",
        '{"$gt": ""}',
        '{"ne": null}',
        "[ne]",
        "' || 1",
        "$literal",
        "\u0000",
        "%00",
    ],
)
async def test_parameter_value_is_never_interpreted(shop: ShopService, value: str) -> None:
    assert await shop.run("needed", name=value) == []
    (found,) = await shop.run("echo_text", text=value)
    assert found == {"x": value, "y": f"<{value}>", "z": value, "same": True}


async def test_operators_in_parameter_names_are_refused(shop: ShopService) -> None:
    for given in ("name[ne]=x", "name[$ne]=x", "name.gt=x", "name%5B%24gt%5D=", "filter[name]=x", "$where=1"):
        answer = await shop.client.get(f"/api/sales/queries/needed?{given}", headers=shop.people["ann"])
        assert answer.status_code == 400
        codes = {each["code"] for each in answer.json()["errors"]}
        assert codes == {"unknown_parameter", "required"}


async def test_query_response_has_weak_etag_and_supports_if_none_match(shop: ShopService) -> None:
    url, headers = "/api/sales/queries/names", shop.people["ann"]
    first = await shop.client.get(url, headers=headers)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    again = await shop.client.get(url, headers=headers | {"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    head = await shop.client.head(url, headers=headers)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
    assert head.headers["content-length"] == str(len(first.content))
    other = await shop.client.get(url, headers=shop.people["bob"] | {"If-None-Match": tag})
    assert other.status_code == 200


async def test_other_methods_and_deeper_paths_of_queries_are_refused(shop: ShopService) -> None:
    client, headers = shop.client, shop.people["ann"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await client.request(method, "/api/sales/queries/names", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed")
    assert (await client.get("/api/sales/queries/names/more", headers=headers)).status_code == 404
    for method in ("GET", "HEAD"):
        answer = await client.request(method, f"/api/sales/{shop.ids['desk']}", headers=headers)
        assert answer.status_code == 200
    answer = await client.get(f"/api/sales/{shop.ids['desk']}/queries", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "route.not_found")


async def test_query_limit_bounds_number_of_rows(shop: ShopService) -> None:
    assert await shop.run("two") == [{"name": "Desk"}, {"name": "Lamp"}]
    assert await shop.run("top", "admin", n="1") == [{"name": "Desk"}]
