"""The naive design as an application: one bare Motor call per request, and nothing around it.

It answers in Sheaf's shape what `requests.Dialect` asks, on the same framework and server, without accounts,
rules, limits, validation or security headers: what it costs is what the driver and HTTP cost.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
from bson import ObjectId
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import DESCENDING

from scripts.measuring import products

AnyRequest = Request[Any, Any, State]

NEWEST_FIRST = [("_created_at", DESCENDING), ("_id", DESCENDING)]


@get("/api/health/ready")
async def tell_ready() -> dict[str, str]:
    """Answer, so that the server knows that it runs."""
    return {"status": "ok"}


@get("/api/products/{document_id:str}")
async def get_product(request: AnyRequest, document_id: FromPath[str]) -> Response[bytes]:
    """Return one product by one `find_one`."""
    document = await request.app.state.products.find_one({"_id": ObjectId(document_id)})
    tag = f'"{document["_version"]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    return answer({"data": outward(document)}, headers={"ETag": tag})


@get("/api/products")
async def list_products(request: AnyRequest) -> Response[bytes]:
    """Return a page of the newest, of a category and a range of prices if asked for, by one `find`."""
    asked = request.query_params
    chosen: dict[str, Any] = {}
    if "filter[category]" in asked:
        low, high = asked["filter[price][gte]"], asked["filter[price][lte]"]
        chosen = {
            "category": asked["filter[category]"],
            "price": {"$gte": float(low), "$lte": float(high)},
        }
    page, limit = int(asked.get("page", 1)), int(asked["limit"])
    found = request.app.state.products.find(chosen).sort(NEWEST_FIRST)
    documents = await found.skip((page - 1) * limit).limit(limit).to_list(limit)
    return answer({"data": [outward(each) for each in documents], "page": page, "limit": limit})


@post("/api/products")
async def create_product(request: AnyRequest) -> Response[bytes]:
    """Create a product by one `insert_one`."""
    document = {**products.stored(0), **orjson.loads(await request.body()), "_id": ObjectId()}
    await request.app.state.products.insert_one(document)
    return answer({"data": outward(document)}, HTTPStatus.CREATED)


def outward(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as Sheaf shows it."""
    return {"id": str(document.pop("_id")), **document}


def answer(body: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return a body as JSON."""
    content = orjson.dumps(body, default=datetime.isoformat)
    return Response(content, status_code=status, headers=headers, media_type="application/json")


def create() -> Litestar:
    """Make the application, on the database that the environment names."""

    @asynccontextmanager
    async def connected(application: Litestar) -> AsyncIterator[None]:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            os.environ["MONGODB_URI"], tz_aware=True
        )
        application.state.products = client[os.environ["SHEAF_DATABASE"]]["products"]
        yield
        client.close()

    handlers = [tell_ready, get_product, list_products, create_product]
    return Litestar(handlers, lifespan=[connected], openapi_config=None, logging_config=None)
