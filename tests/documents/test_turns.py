import asyncio
import gc

import httpx

from service.documents.turns import Turns


async def test_of_very_many_patches_of_one_document_at_once_all_win(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    path = (await client.post(goods, json={"name": "Mug", "price": 1}, headers=ann)).headers["location"]
    answers = await asyncio.gather(
        *(client.patch(path, json={"price": number}, headers=ann) for number in range(200))
    )
    assert {answer.status_code for answer in answers} == {200}
    versions = [answer.json()["data"]["_version"] for answer in answers]
    assert sorted(versions) == list(range(2, 202))


async def test_of_many_patches_of_one_version_one_wins(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    path = (await client.post(goods, json={"name": "Mug", "price": 1}, headers=ann)).headers["location"]
    condition = ann | {"If-Match": '"1"'}
    answers = await asyncio.gather(
        *(client.patch(path, json={"price": number}, headers=condition) for number in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert (await client.get(path)).json()["data"]["_version"] == 2


def test_a_lock_that_nobody_uses_is_forgotten() -> None:
    turns = Turns()
    lock = turns.of("a")
    assert turns.of("a") is lock
    assert turns.of("b") is not lock
    del lock
    gc.collect()
    assert not turns._locks
