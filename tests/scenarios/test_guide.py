"""The endpoint tests that the guide ends with: list, pagination, 401 without a token, 201 with one."""

import httpx


async def test_health_returns_status_and_timestamp(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/health")
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "timestamp"}
    assert answer.json()["status"] == "ok"


async def test_empty_product_list_returns_page_fields(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/products")
    assert answer.status_code == 200
    assert answer.json() == {"data": [], "page": 1, "limit": 20, "has_more": False}


async def test_product_list_is_paginated(client: httpx.AsyncClient, ann: dict[str, str]) -> None:
    for number in range(5):
        product = {"name": f"Product {number}", "price": number}
        assert (await client.post("/api/products", json=product, headers=ann)).status_code == 201
    first = (await client.get("/api/products?page=1&limit=2&sort=price")).json()
    last = (await client.get("/api/products?page=3&limit=2&sort=price")).json()
    assert [product["name"] for product in first["data"]] == ["Product 0", "Product 1"]
    assert (first["page"], first["limit"], first["has_more"]) == (1, 2, True)
    assert [product["name"] for product in last["data"]] == ["Product 4"]
    assert (last["page"], last["limit"], last["has_more"]) == (3, 2, False)


async def test_create_without_token_returns_401(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/products", json={"name": "Mug", "price": 9.5})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="sheaf"'
    assert answer.json()["code"] == "auth.required"
    assert (await client.get("/api/products")).json()["data"] == []


async def test_create_with_token_returns_201(client: httpx.AsyncClient) -> None:
    who = {"email": "ann@example.org", "password": "Correct-horse-7-battery"}
    assert (await client.post("/api/auth/register", json=who)).status_code == 201
    token = (await client.post("/api/auth/login", json=who)).json()["data"]["access_token"]
    answer = await client.post(
        "/api/products",
        json={"name": "Mug", "price": 9.5},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 201
    product = answer.json()["data"]
    assert answer.headers["location"] == f"/api/products/{product['id']}"
    assert (await client.get(answer.headers["location"])).json() == {"data": product}
