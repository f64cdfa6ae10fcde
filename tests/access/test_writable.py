from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.decisions import Grant
from service.access.writable import beyond
from service.query.tree import Path, Selection


def only(*paths: str) -> Selection:
    return Selection(tuple(tuple(path.split(".")) for path in paths))


def but(*paths: str) -> Selection:
    return Selection(tuple(tuple(path.split(".")) for path in paths), is_exclusion=True)


@pytest.mark.parametrize(
    ("fields", "before", "asked", "found"),
    [
        (None, {}, {"a": 1}, []),
        (only("a"), {"a": 1, "b": 2}, {"a": 5, "b": 2}, []),
        (only("a"), {"a": 1, "b": 2}, {"a": 5}, ["b"]),
        (only("a"), {}, {"b": None}, ["b"]),
        (only("a"), {"b": 1}, {"b": True}, ["b"]),
        (only("a"), {"b": 1}, {"b": 1.0}, []),
        (only("a"), {"b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}}, []),
        (only("a.b"), {"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 1}}, []),
        (only("a.b"), {"a": {"b": 1, "c": 1}}, {"a": {"b": 2}}, ["a.c"]),
        (only("a.b"), {"a": {"b": 1, "c": 1}}, {}, ["a.c"]),
        (only("a.b"), {}, {"a": {"b": 1}}, []),
        (only("a.b"), {"a": {"b": 1}}, {"a": 1}, ["a"]),
        (only("a.b"), {"a": None}, {"a": {"b": 1}}, ["a"]),
        (only("a.b"), {"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 3, "c": 2}, {"b": 4}]}, []),
        (only("a.b"), {"a": [{"b": 1, "c": 2}]}, {"a": []}, ["a.c"]),
        (only("a.b"), {"a": [{"b": 1}]}, {"a": {"b": 1}}, ["a"]),
        (only("a.b"), {"a": [1]}, {"a": [2]}, ["a"]),
        (only(), {"a": 1}, {"a": 2}, ["a"]),
        (but("a"), {"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 3}, []),
        (but("a"), {"a": 1}, {}, ["a"]),
        (but("a.b"), {"a": {"b": 1, "c": 1}}, {"a": {"b": 1}}, []),
        (but("a.b"), {"a": {"b": 1, "c": 1}}, {}, ["a.b"]),
        (but("a.b"), {}, {"a": {"b": 1}}, ["a.b"]),
        (but("a.b"), {"a": {"b": 1}}, {"a": "x"}, ["a.b"]),
        (but("a.b"), {"a": "x"}, {"a": "y"}, []),
        (but("a.b"), {"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 2}, {"b": 1}]}, ["a.b"]),
        (but("a.b"), {"a": [{"b": 1}]}, {"a": [{"b": 1}, {"c": 1}]}, []),
        (but("a.b"), {"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 1}]}, ["a.b"]),
        (but("a.b"), {"a": [{"b": 1}]}, {"a": {"b": 1}}, ["a"]),
        (but("a.b", "a"), {"a": {"c": 1}}, {"a": {"c": 2}}, ["a"]),
    ],
    ids=str,
)
def test_changes_beyond_writable_fields_are_found(
    fields: Selection | None, before: Any, asked: Any, found: list[str]
) -> None:
    paths = beyond(Grant(fields=fields), before, asked)
    assert [".".join(path) for path in paths] == found


def test_members_set_by_grant_are_no_change_by_client() -> None:
    grant = Grant(forced={"author": "ann"}, fields=only("title"))
    assert beyond(grant, {"author": "bob"}, {"author": "eve", "score": 1}) == (("score",),)


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.one_of(st.integers(0, 2), st.booleans(), st.none()),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3)


def protected(value: Any, path: Path) -> Any:
    """Return what stands at a path, through arrays, in its place; None where there is nothing."""
    if isinstance(value, list):
        return [protected(each, path) for each in value]
    if not path:
        return [type(value).__name__, value]
    return protected(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else None


@given(DOCUMENTS, DOCUMENTS, PATHS)
def test_excluded_fields_stay_unchanged(before: Any, asked: Any, paths: list[Path]) -> None:
    fields = Selection(tuple(dict.fromkeys(paths)), is_exclusion=True)
    if not beyond(Grant(fields=fields), before, asked):
        for path in paths:
            one, other = (_pruned(protected(each, path)) for each in (before, asked))
            assert one == other


def _pruned(value: Any) -> Any:
    """Leave out what holds nothing: an element without the protected member is as good as none at the end."""
    if not isinstance(value, list):
        return value
    kept = [_pruned(each) for each in value]
    while kept and kept[-1] in (None, []):
        kept.pop()
    return kept or None


@given(DOCUMENTS, DOCUMENTS)
def test_all_changes_are_allowed_if_every_name_is_writable(before: Any, asked: Any) -> None:
    assert beyond(Grant(fields=only("a", "b", "c")), before, asked) == ()
    assert beyond(Grant(fields=but("x")), before, asked) == ()


@given(DOCUMENTS, DOCUMENTS)
def test_unlisted_members_must_be_sent_unchanged(before: Any, asked: Any) -> None:
    assert beyond(Grant(fields=only("x")), before, before) == ()
    changed = beyond(Grant(fields=only("x")), before, asked)
    assert bool(changed) is (
        before.keys() != asked.keys()
        or any(protected(before, (n,)) != protected(asked, (n,)) for n in before)
    )
