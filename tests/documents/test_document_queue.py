import asyncio

import httpx

from service.storage.document_queue import DocumentQueue, Waiting


async def test_concurrent_patches_of_one_document_are_all_applied(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    path = (await client.post(goods, json={"name": "Mug", "price": 1}, headers=ann)).headers["location"]
    answers = await asyncio.gather(
        *(client.patch(path, json={"price": number}, headers=ann) for number in range(200))
    )
    assert {answer.status_code for answer in answers} == {200}
    versions = [answer.json()["data"]["_version"] for answer in answers]
    assert sorted(versions) == list(range(2, 202))


async def test_concurrent_patches_with_same_if_match_apply_once(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    path = (await client.post(goods, json={"name": "Mug", "price": 1}, headers=ann)).headers["location"]
    condition = ann | {"If-Match": '"1"'}
    answers = await asyncio.gather(
        *(client.patch(path, json={"price": number}, headers=condition) for number in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert (await client.get(path)).json()["data"]["_version"] == 2


async def test_empty_queue_is_removed() -> None:
    queue: DocumentQueue[str] = DocumentQueue()

    async def serve(waiting: list[Waiting[str]]) -> list[Waiting[str]]:
        waiting[0].settle(waiting[0].plan.upper())
        return waiting[1:]

    assert await asyncio.gather(*(queue.submit("a", letter, serve) for letter in "xyz")) == ["X", "Y", "Z"]
    await asyncio.sleep(0)
    assert not queue._waiting


async def test_error_while_serving_fails_all_waiting_calls() -> None:
    queue: DocumentQueue[str] = DocumentQueue()

    async def fail(waiting: list[Waiting[str]]) -> list[Waiting[str]]:
        raise RuntimeError("broken")

    outcomes = await asyncio.gather(*(queue.submit("a", "x", fail) for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["broken"] * 3


async def test_cancelled_call_does_not_affect_others() -> None:
    queue: DocumentQueue[str] = DocumentQueue()
    gate = asyncio.Event()

    async def serve(waiting: list[Waiting[str]]) -> list[Waiting[str]]:
        await gate.wait()
        for each in waiting:
            each.settle(each.plan)
        return []

    impatient, patient = (asyncio.create_task(queue.submit("a", name, serve)) for name in ("one", "two"))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient == "two"
    assert impatient.cancelled()
