"""What a query shows of documents, and who has to wait for it."""

import asyncio
import json

import pytest
from litestar import Litestar

from service.access.principals import ANONYMOUS
from service.documents import lists, rendering
from service.documents.access import Access
from service.documents.expanding import References
from service.documents.lists import Page
from service.documents.rendering import Renderings
from service.kit import tasks
from tests.services import services_of


async def test_rendering_page_yields_to_other_tasks_between_documents(
    app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BREATH_S", 0)
    registry = services_of(app).registry
    documents = [{"_id": number, "name": "Mug"} for number in range(10)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    access, references = Access(registry.get("products"), ANONYMOUS), References(registry, ANONYMOUS)
    content = await rendering.page(
        Renderings(),
        access,
        references,
        lists.parse(access, references, b""),
        Page(documents, limit=10, has_more=False),
    )
    task.cancel()

    assert [each["id"] for each in json.loads(content)["data"]] == list(range(10))
    assert turns >= len(documents)
