"""What waits for one client: in order, of each document the newest, and never without end."""

import asyncio
from typing import Any

from service.changes import entries
from service.changes.entries import Entry
from service.changes.mailbox import Mailbox


def put(document_id: Any, version: int, text: str = "{}") -> Entry:
    return entries.put("change", text.encode(), f"c{version}", document_id, version)


def told(mailbox: Mailbox) -> list[tuple[Any, Any]]:
    return [(each.entry.id, each.entry.version) for each in mailbox.take()]


def test_newer_state_takes_place_of_older_one_at_the_end() -> None:
    mailbox = Mailbox(10, 10_000)
    for entry in (put("a", 1), put("b", 2), put("a", 3)):
        assert mailbox.put("list", entry)
    assert told(mailbox) == [("b", 2), ("a", 3)]
    assert told(mailbox) == []


def test_subscriptions_keep_their_own_state_of_a_document() -> None:
    mailbox = Mailbox(10, 10_000)
    for source in ("one", "other"):
        mailbox.put(source, put("a", 1))
    mailbox.forget("one")
    assert [(each.source, each.entry.id) for each in mailbox.take()] == [("other", "a")]


def test_mailbox_is_bounded_in_entries_and_bytes() -> None:
    few = Mailbox(2, 10_000)
    assert [few.put("list", put(number, 1)) for number in range(3)] == [True, True, False]
    small = Mailbox(100, 1000)
    assert [small.put("list", put(number, 1, "x" * 400)) for number in range(2)] == [True, False]
    small.forget("list")
    assert small.put("list", put(1, 1, "x" * 400)), "what is forgotten takes no room"


async def test_wait_ends_with_an_entry_a_time_or_the_end() -> None:
    mailbox = Mailbox(10, 10_000)
    assert not await mailbox.wait(0.001)
    waiting = asyncio.create_task(mailbox.wait())
    await asyncio.sleep(0)
    mailbox.put("list", put("a", 1))
    assert await waiting
    assert told(mailbox) == [("a", 1)]
    waiting = asyncio.create_task(mailbox.wait())
    await asyncio.sleep(0)
    mailbox.close()
    assert not await waiting
    assert not await mailbox.wait()
