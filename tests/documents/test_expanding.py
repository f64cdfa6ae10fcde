"""What a query shows of documents, and who has to wait for it."""

import asyncio

import pytest
from litestar import Litestar

from service.access.decisions import ALLOWED
from service.access.principals import ANONYMOUS
from service.documents import expanding
from service.documents.targets import Targets
from service.query.lists import ListQuery


async def test_other_requests_go_on_between_the_documents_of_a_page(
    app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "BREATH_S", 0)
    registry = app.state.registry
    documents = [{"_id": number, "name": "Mug"} for number in range(10)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    shown = await expanding.page(
        Targets(registry, ANONYMOUS), registry.get("products"), ALLOWED, documents, ListQuery()
    )
    task.cancel()

    assert [each["id"] for each in shown] == list(range(10))
    assert turns >= len(documents)
