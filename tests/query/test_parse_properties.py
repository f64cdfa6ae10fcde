"""Whatever is asked, the answer is a query or a refusal."""

import json
from typing import Any

import bson
from bson import CodecOptions
from bson.binary import UuidRepresentation
from hypothesis import given, settings
from hypothesis import strategies as st

from service.kit.errors import ParameterInvalid
from service.query import (
    EVERYTHING,
    matches,
    parse_filter,
    parse_list,
    sort_keys,
    to_mongo,
)
from service.query.operators import OPERATORS
from tests.query.shop import SHOP

STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

OID = "5f" * 12

names = st.sampled_from([*SHOP.fields, "address.city", "parts.count", "extra.x", "nope"]) | st.text(
    max_size=8
)
operators = st.sampled_from([*OPERATORS, "$gt"]) | st.text(max_size=4)
texts = st.text(alphabet=st.characters(), max_size=12) | st.sampled_from(
    ["1", "-1.5", "true", "null", "a,b", OID, "2026-02-30"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-13-40"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            names | operators | st.sampled_from(["and", "or", "not", "elem"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
parameters = st.one_of(
    st.tuples(st.builds("filter[{}][{}]".format, names, operators), texts),
    st.tuples(st.builds("filter[{}]".format, names), texts),
    st.tuples(st.just("filter"), json_values.map(json.dumps) | st.text()),
    st.tuples(st.sampled_from(["sort", "fields"]), st.lists(names, max_size=3).map(",-".join)),
    st.tuples(st.sampled_from(["page", "limit"]) | st.text(), st.integers().map(str) | st.text()),
)


@settings(deadline=None)
@given(st.lists(parameters, max_size=3))
def test_any_parameters_return_query_or_refusal(given_parameters: list[tuple[str, str]]) -> None:
    try:
        asked = parse_list(given_parameters, SHOP)
    except ParameterInvalid as failure:
        json.dumps(failure.problem(instance="/", request_id="1"), ensure_ascii=False).encode()
    else:
        bson.encode(to_mongo(asked.where or EVERYTHING), codec_options=STANDARD)
        assert sort_keys(asked.sort)[-1][0] == "_id"
        hash(asked)


@settings(deadline=None)
@given(st.dictionaries(names | st.sampled_from(["and", "or", "not"]), json_values, max_size=3))
def test_any_json_returns_filter_or_refusal(value: dict[str, Any]) -> None:
    try:
        node = parse_filter(value, SHOP)
    except ParameterInvalid as failure:
        json.dumps(failure.problem(instance="/", request_id="1"), ensure_ascii=False).encode()
    else:
        bson.encode(to_mongo(node), codec_options=STANDARD)
        matches(node, {})
