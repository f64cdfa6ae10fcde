"""Definitions that somebody else has written into the database, in any form, harm nothing but themselves."""

from typing import Any

import httpx
import pytest
from litestar import Litestar
from structlog.testing import capture_logs

from service.app import create_app
from service.runtime.settings import Settings
from tests.conftest import connect, opened
from tests.registry.test_workers import FILMS, within_bound
from tests.services import services_of

WHOLE = {"uid": "a", "_version": 1, "schema_text": '{"type":"object"}'}
NESTED = "[" * 100_000


@pytest.mark.parametrize(
    "definition",
    [
        {"_id": 5},
        {"_id": {"a": 1}},
        {"_id": None},
        {"_id": "odd"},
        {"_id": "odd", **WHOLE, "schema_text": 5},
        {"_id": "odd", **WHOLE, "schema_text": "{"},
        {"_id": "odd", **WHOLE, "schema_text": '{"type":"nonsense"}'},
        {"_id": "odd", **WHOLE, "rules_text": "[]"},
        {"_id": "odd", **WHOLE, "rules_text": NESTED},  # not foreseen anywhere: a RecursionError
        {"_id": "odd", **WHOLE, "options_text": '{"id_type":[]}'},
        {"_id": "odd", **WHOLE, "is_deleting": "maybe"},
        {"_id": "products", **WHOLE},
    ],
    ids=lambda definition: str(definition)[:60],
)
async def test_invalid_stored_definition_does_not_affect_other_collections(
    definition: dict[str, Any],
    client: httpx.AsyncClient,
    settings: Settings,
    app: Litestar,
    admin: dict[str, str],
) -> None:
    anew = create_app(settings)
    with capture_logs() as logs:
        await services_of(app).database.motor["_collections"].insert_one(dict(definition))

        async def is_noticed() -> bool:
            return any(line["event"].startswith("registry.") for line in logs)

        await within_bound(is_noticed)
        assert not [line for line in logs if line["event"] == "registry.failed"]
        async with opened(anew), connect(anew) as fresh:
            created = await client.post("/api/collections", json=FILMS, headers=admin)
            assert created.status_code == 201, created.text

            async def is_there() -> bool:
                return (await fresh.get("/api/films")).status_code == 200

            await within_bound(is_there)
            for each in (client, fresh):
                assert (await each.get("/api/health/ready")).status_code == 200
                assert (await each.get("/api/products")).status_code == 200
                assert (await each.get("/api/odd")).status_code == 404
