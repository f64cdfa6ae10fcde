"""What the tests of `Idempotency-Key` share."""

from typing import Any

import httpx

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen", "tags": ["blue"]}
PER_REQUEST = {"x-request-id", "idempotency-replayed"}


def shown(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """Return all of an answer but what every answer has of its own."""
    headers = {name: value for name, value in answer.headers.items() if name not in PER_REQUEST}
    return answer.status_code, headers, answer.content


def is_replayed(answer: httpx.Response) -> bool:
    said = answer.headers.get("idempotency-replayed")
    assert said in {None, "true"}
    return said is not None


async def listed(client: httpx.AsyncClient, goods: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(goods)).json()["data"]
    return found
