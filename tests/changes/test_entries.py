"""What is told, as it stands on the wire."""

import pytest

from service.changes import entries
from service.changes.entries import Entry, key_member

PUT = entries.put("enter", b'{"id":"1","_version":7}', "c1", "1", 7)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (PUT, 'event: put\nid: c1\ndata: {"why":"enter","data":{"id":"1","_version":7}}\n\n'),
        (
            entries.gone("leave", "c2", "1", 8),
            'event: gone\nid: c2\ndata: {"why":"leave","id":"1","_version":8}\n\n',
        ),
        (entries.gone("delete", None, 5, None), 'event: gone\ndata: {"why":"delete","id":5}\n\n'),
        (entries.ready("c3"), "event: ready\nid: c3\ndata: {}\n\n"),
        (entries.reset("history"), 'event: reset\nid: \ndata: {"why":"history"}\n\n'),
        (
            entries.bye("draining", 2310),
            'event: bye\ndata: {"why":"draining","retry_ms":2310}\n\n',
        ),
        (entries.at("c4"), "id: c4\n\n"),
    ],
    ids=lambda each: each.event if isinstance(each, Entry) else "",
)
def test_entry_is_written_as_server_sent_event(entry: Entry, expected: str) -> None:
    assert entry.as_event().decode() == expected


@pytest.mark.parametrize(
    ("entry", "key", "expected"),
    [
        (PUT, None, '{"event":"put","why":"enter","data":{"id":"1","_version":7},"cursor":"c1"}'),
        (PUT, "a", '{"event":"put","key":"a","why":"enter","data":{"id":"1","_version":7},"cursor":"c1"}'),
        (entries.ready("c3"), 'q"', '{"event":"ready","key":"q\\"","cursor":"c3"}'),
        (entries.reset("rules"), "a", '{"event":"reset","key":"a","why":"rules"}'),
        (entries.bye("expired", 7), None, '{"event":"bye","why":"expired","retry_ms":7}'),
    ],
)
def test_entry_is_written_as_json(entry: Entry, key: str | None, expected: str) -> None:
    assert entry.as_json(b"" if key is None else key_member(key)).decode() == expected


def test_event_of_one_of_several_subscriptions_names_it() -> None:
    assert PUT.keyed_event(key_member("a"), None).decode() == (
        'event: put\ndata: {"key":"a","why":"enter","data":{"id":"1","_version":7}}\n\n'
    )
    assert entries.ready("c").keyed_event(key_member("a"), "j").decode() == (
        'event: ready\nid: j\ndata: {"key":"a"}\n\n'
    )
