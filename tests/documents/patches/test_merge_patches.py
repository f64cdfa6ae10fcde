from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.documents.patches import json_patches, merge, of_operation
from service.kit.errors import PatchInvalid

RFC_7396_APPENDIX_A: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396_APPENDIX_A)
def test_merge_follows_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    before = deepcopy(target)
    assert merge(target, patch) == result
    assert target == before


@given(VALUES, VALUES)
def test_merge_is_idempotent(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@pytest.mark.parametrize("body", [None, [], "a", 1, True])
def test_merge_patch_that_is_not_object_is_refused(body: Any) -> None:
    with pytest.raises(PatchInvalid) as caught:
        json_patches.read_merge_patch(body)
    assert [(each.pointer, each.code) for each in caught.value.errors] == [("", "type")]


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"op": "patch"}, ["/operations/0"]),
        ({"patch": {}, "json_patch": []}, ["/operations/0/json_patch"]),
        ({"patch": []}, ["/operations/0/patch"]),
        ({"json_patch": [{"op": "eat", "path": ""}]}, ["/operations/0/json_patch/0/op"]),
        ({"operations": {"inc": 1}}, ["/operations/0/operations/inc"]),
    ],
)
def test_batch_operation_requires_exactly_one_patch_with_pointers_into_it(
    members: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(PatchInvalid) as caught:
        of_operation(members)
    assert [each.pointer for each in caught.value.below("/operations/0").errors] == pointers
