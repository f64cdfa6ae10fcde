import asyncio

import httpx

from service.storage.turns import Turns, Waiting


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


async def test_a_queue_that_nobody_waits_in_is_forgotten() -> None:
    turns: Turns[str] = Turns()

    async def serve(waiting: list[Waiting[str]]) -> list[Waiting[str]]:
        waiting[0].settle(waiting[0].asked.upper())
        return waiting[1:]

    assert await asyncio.gather(*(turns.take("a", letter, serve) for letter in "xyz")) == ["X", "Y", "Z"]
    await asyncio.sleep(0)
    assert not turns._waiting


async def test_a_fault_while_serving_reaches_all_who_wait_and_nobody_else() -> None:
    turns: Turns[str] = Turns()

    async def fail(waiting: list[Waiting[str]]) -> list[Waiting[str]]:
        raise RuntimeError("broken")

    outcomes = await asyncio.gather(*(turns.take("a", "x", fail) for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["broken"] * 3


async def test_one_who_gives_up_takes_nobody_along() -> None:
    turns: Turns[str] = Turns()
    gate = asyncio.Event()

    async def serve(waiting: list[Waiting[str]]) -> list[Waiting[str]]:
        await gate.wait()
        for each in waiting:
            each.settle(each.asked)
        return []

    impatient, patient = (asyncio.create_task(turns.take("a", name, serve)) for name in ("one", "two"))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient == "two"
    assert impatient.cancelled()
