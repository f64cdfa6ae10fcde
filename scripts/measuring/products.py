"""The documents that are measured with: products of about 300 bytes, each told by its number alone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

CATEGORIES = 20
PAGE = 20
PAGES = 50
FIRST_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SPREAD = 7919
"""A prime, so that prices are spread evenly over the numbers."""

TAGS = ["kitchen", "wooden", "gift"]
WORDS = "A sturdy thing for everyday use, made of beech, that keeps its shape and its colour for years. "


def identifier(number: int) -> ObjectId:
    """Return the id of a seeded product; ids of products made later sort behind all of these."""
    return ObjectId(f"65000000{number:016x}")


def price(number: int) -> float:
    """Return the price, from 0 to 999.99."""
    return number * SPREAD % 100_000 / 100


def fields(number: int) -> dict[str, Any]:
    """Return what a client would send of a seeded product."""
    return {
        "name": f"Product {number}",
        "price": price(number),
        "description": f"{WORDS}It is number {number} of the range.",
        "category": f"category-{number % CATEGORIES}",
        "tags": TAGS,
    }


def created_at(number: int) -> datetime:
    """Return the time of creation: later for a higher number."""
    return FIRST_CREATED_AT + timedelta(seconds=number)


def stored(number: int) -> dict[str, Any]:
    """Return a seeded product as Sheaf stores it."""
    at = created_at(number)
    system = {"_version": 1, "_created_at": at, "_updated_at": at, "_owner": None}
    return {"_id": identifier(number), **fields(number), **system}


def plain(number: int) -> dict[str, Any]:
    """Return a seeded product as a service with Mongoose's names stores it."""
    return {"_id": identifier(number), **fields(number), "createdAt": created_at(number)}


def new(number: int) -> dict[str, Any]:
    """Return the body that creates a product."""
    return {**fields(number), "name": f"New product {number}"}


def static_body() -> bytes:
    """Return a product as JSON of about the size that Sheaf gives one in."""
    return json.dumps({"data": stored(0)}, default=str, separators=(",", ":")).encode()


STATIC_PATH = "/api/static/answer"
STATIC_BODY = static_body()
