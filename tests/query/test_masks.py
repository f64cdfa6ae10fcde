"""Masks agree with selections one by one, and together show what any of them shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.query import masks
from service.query.fields import Field
from service.query.json_filters import parse_filter
from service.query.kinds import Kind
from service.query.masks import HIDDEN, IDENTITY, SHOWN, Mask
from service.query.tree import Path, Selection
from tests.query.shop import an_array, an_object, of

NAMES = st.sampled_from(["a", "b", "c"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3).map(lambda own: {"id": 1, "_version": 2, **own})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    paths = draw(st.sets(PATHS, max_size=4))
    kept = [path for path in paths if not any(path[:length] in paths for length in range(1, len(path)))]
    return Selection(tuple(sorted(kept)), draw(st.booleans()))


def mask_of(*chosen: Selection | None) -> Mask:
    return masks.of_selections(frozenset(chosen))


@given(DOCUMENTS, selections())
def test_mask_of_one_selection_equals_selection(document: dict[str, Any], selection: Selection) -> None:
    selected = {"_version": 2, **masks.shown(document, masks.selecting(selection))}
    assert masks.shown(document, mask_of(selection)) == selected


def union(parts: list[Any], whole: Any) -> Any:
    """Return what is in one of several parts of a value, with each array element beside itself."""
    if isinstance(whole, dict):
        found = [part for part in parts if isinstance(part, dict)]
        return {
            name: union([part[name] for part in found if name in part], value)
            for name, value in whole.items()
            if any(name in part for part in found)
        }
    return whole


def without_arrays(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(without_arrays, value.values()))
    return not isinstance(value, list)


@given(DOCUMENTS.filter(without_arrays), st.lists(selections(), min_size=1, max_size=4))
def test_mask_of_several_selections_shows_their_union(
    document: dict[str, Any], chosen: list[Selection]
) -> None:
    parts = [masks.shown(document, mask_of(each)) for each in chosen]
    assert masks.shown(document, mask_of(*chosen)) == union(parts, document)


@given(DOCUMENTS, st.lists(selections(), min_size=1, max_size=4))
def test_additional_selections_never_show_less(document: dict[str, Any], chosen: list[Selection]) -> None:
    shown = masks.shown(document, mask_of(*chosen))
    for each in chosen:
        part = masks.shown(document, mask_of(each))
        assert part == masks.shown(shown, mask_of(each))


@given(DOCUMENTS, selections(), selections())
def test_conjunction_of_masks_is_within_both(
    document: dict[str, Any], one: Selection, other: Selection
) -> None:
    both = masks.both(mask_of(one), mask_of(other))
    shown = masks.shown(document, both)
    for each in (one, other):
        assert masks.shown(shown, mask_of(each)) == shown


@given(DOCUMENTS, st.lists(selections(), max_size=3))
def test_mask_with_unrestricted_selection_shows_all(
    document: dict[str, Any], chosen: list[Selection]
) -> None:
    assert mask_of(None, *chosen).shows_all
    assert masks.shown(document, mask_of(None, *chosen)) == document


def test_mask_without_selection_hides_all() -> None:
    assert mask_of() == HIDDEN
    assert mask_of().hides_all
    assert mask_of(Selection(())) == IDENTITY
    assert SHOWN.of("a").of("b") == SHOWN
    assert masks.shown({"id": 1, "_version": 2, "a": 3}, IDENTITY) == {"id": 1, "_version": 2}


TEXT = of(Kind.STRING)
ROOT = an_object(
    id=TEXT,
    _version=of(Kind.INTEGER),
    a=an_object(b=TEXT, c=an_object(d=TEXT)),
    list=an_array(an_object(b=TEXT, c=TEXT)),
    words=an_array(TEXT),
    e=TEXT,
)
ENDLESS = Field(frozenset({Kind.ARRAY}), fields={}, others=None)
object.__setattr__(ENDLESS, "items", ENDLESS)


@pytest.mark.parametrize(
    ("selection", "seen", "unseen", "partial"),
    [
        (
            Selection((("a", "b"), ("list", "c")), is_exclusion=True),
            ["id", "_version", "a.c.d", "list.b", "list.0.b", "e", "words"],
            ["a.b", "list.c", "list.1.c"],
            ["a", "list", "list.0"],
        ),
        (
            Selection((("a", "c"), ("list", "b"), ("e",))),
            ["id", "_version", "a.c", "a.c.d", "list.b", "e"],
            ["a.b", "a.other", "list.c", "words", "words.0", "other"],
            ["a", "list"],
        ),
        (
            Selection((("a", "c", "d"),), is_exclusion=True),
            ["a.b", "e"],
            ["a.c.d"],
            ["a", "a.c"],
        ),
    ],
)
def test_masked_fields_cannot_be_resolved_or_compared(
    selection: Selection, seen: list[str], unseen: list[str], partial: list[str]
) -> None:
    root = masks.fields_of(ROOT, frozenset({selection}))

    def path(text: str) -> Path:
        return tuple(text.split("."))

    assert [text for text in seen if not masks.may_be_compared(root, path(text))] == []
    assert [text for text in unseen if root.resolve(path(text)) is not None] == []
    assert [text for text in partial if masks.may_be_compared(root, path(text))] == []
    assert [text for text in partial if root.resolve(path(text)) is None] == []


def test_mask_applies_to_undeclared_members() -> None:
    free = Field(frozenset({Kind.OBJECT}), others=TEXT)
    hidden = masks.fields_of(free, frozenset({Selection((("secret",),), is_exclusion=True)}))
    assert hidden.resolve(("secret",)) is None
    assert hidden.resolve(("other",)) is TEXT
    shown = masks.fields_of(free, frozenset({Selection((("open",),))}))
    assert shown.resolve(("open",)) is TEXT
    assert shown.resolve(("other",)) is None


def test_mask_of_self_containing_field_terminates() -> None:
    root = masks.fields_of(an_object(a=ENDLESS), frozenset({Selection((("a", "b"),), is_exclusion=True)}))
    found = root.resolve(("a", "0", "0"))
    assert found is not None
    assert found.is_partial


@pytest.mark.parametrize(
    ("where", "beyond"),
    [
        ({"e": "x"}, []),
        ({"a.b": "x", "e": "y"}, [("a", "b")]),
        ({"or": [{"not": {"a.b": "x"}}, {"e": "y"}]}, [("a", "b")]),
        ({"a": {"exists": True}}, [("a",)]),
        ({"list": {"size": 2}}, [("list",)]),
        ({"list": {"elem": {"b": "x"}}}, []),
        ({"list": {"elem": {"b": "x", "c": "y"}}}, [("list", "c")]),
        ({"list": {"elem": {"not": {"c": "y"}}}}, [("list", "c")]),
        ({"words": {"elem": {"eq": "x"}}}, []),
    ],
)
def test_filter_on_masked_or_partially_masked_path_is_reported(
    where: dict[str, Any], beyond: list[Path]
) -> None:
    selection = Selection((("a", "b"), ("list", "c")), is_exclusion=True)
    root = masks.fields_of(ROOT, frozenset({selection}))
    assert list(masks.beyond(root, parse_filter(where, ROOT))) == beyond
