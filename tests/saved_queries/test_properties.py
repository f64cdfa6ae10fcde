"""Whatever is written as a query, reading it never fails otherwise, and MongoDB gets no word of its own."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service import schema as schemas
from service.kit.errors import DefinitionInvalid, ParameterInvalid, Violation
from service.saved_queries.definition import parse
from service.saved_queries.functions import FUNCTIONS
from service.saved_queries.grouping import ACCUMULATORS
from service.saved_queries.parameters import Values, fill
from service.saved_queries.stages import NAMES

HIDDEN: dict[str, Any] = {"type": "string", "writeOnly": True}
ROOT = schemas.compile(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "price": {"type": "number"},
            "at": {"type": "string", "format": "date-time"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "maker": {"type": "string", "x-collection": "makers"},
            "secret": HIDDEN,
            "one": {"type": "object", "properties": {"secret": HIDDEN, "name": {"type": "string"}}},
        },
    }
).root
PARAMETERS: dict[str, Any] = {
    "text": {"type": "string"},
    "number": {"type": "integer", "default": 1},
    "list": {"type": "array", "items": {"type": "string"}, "default": []},
}
NAMED = """
    name price at tags maker one one.name id _owner secret one.secret x x.y a.b text number list
    $name $secret $$ROOT $where $expr __class__ nothing day
"""
LANGUAGE = """
    by value param object field fields as keep_empty gte in eq or and not elem
    $gt $function $lookup from
"""
WORDS = (*NAMED.split(), "")
MEMBERS = (*NAMES, *ACCUMULATORS, *FUNCTIONS, *WORDS, *LANGUAGE.split())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2000),
    st.floats(-10, 10),
    st.sampled_from(WORDS),
    st.text(max_size=3),
)
FREE = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), below, max_size=3),
    max_leaves=12,
)

FIELDS = st.sampled_from([word for word in WORDS if word.isidentifier()])
PARAMETER = st.fixed_dictionaries({"param": st.sampled_from(list(PARAMETERS))})
VALUE = st.fixed_dictionaries({"value": SCALARS})
EXPRESSIONS = st.recursive(
    FIELDS | PARAMETER | VALUE | st.integers(0, 9),
    lambda below: st.dictionaries(
        st.sampled_from(list(FUNCTIONS)), st.lists(below, min_size=1, max_size=3), min_size=1, max_size=1
    ),
    max_leaves=6,
)
NEW = st.sampled_from(["x", "y", "name", "id", "secret"])
ACCUMULATED = st.dictionaries(st.sampled_from(list(ACCUMULATORS)), EXPRESSIONS, min_size=1, max_size=1)
FILTERS = st.dictionaries(FIELDS, PARAMETER | SCALARS, max_size=2)
STAGES = st.one_of(
    st.fixed_dictionaries({"match": FILTERS}),
    st.fixed_dictionaries({"project": st.dictionaries(NEW, EXPRESSIONS, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"set": st.dictionaries(NEW, EXPRESSIONS, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"group": st.dictionaries(NEW, ACCUMULATED, max_size=2)}),
    st.fixed_dictionaries({"group": st.fixed_dictionaries({"by": FIELDS, "n": ACCUMULATED})}),
    st.fixed_dictionaries({"unwind": FIELDS}),
    st.fixed_dictionaries({"sort": FIELDS}),
    st.fixed_dictionaries({"limit": PARAMETER | st.integers(0, 5)}),
    st.fixed_dictionaries({"count": NEW}),
    st.just({"lookup": {"field": "maker", "as": "x", "fields": ["name"]}}),
)
PIPELINES = st.lists(STAGES, min_size=1, max_size=4) | st.lists(FREE, max_size=3)

OURS = """
    match group replaceWith set unset sort limit skip unwind lookup literal mergeObjects let cond
    slice first last push addToSet setDifference size sum avg min max ifNull isArray type strLenCP
    concat toLower toUpper dateTrunc dateDiff year month dayOfMonth isoDayOfWeek isoWeek hour add
    subtract multiply divide mod abs ceil floor round eq ne gt gte lt lte and or not
"""
OPERATORS = {f"${name}" for name in OURS.split()}
MATCHING = {"$eq", "$ne", "$gt", "$gte", "$in", "$or", "$and", "$nor", "$elemMatch"}
PATHS = {
    f"${name}"
    for name in ("name", "price", "at", "tags", "maker", "one", "one.name", "_id", "_owner", "x", "y")
}
VARIABLES = {"$$it", "$$ROOT"}


def said(part: Any, *, is_match: bool = False) -> Iterator[str]:
    """Yield every member and text by which MongoDB is told to do something."""
    if isinstance(part, dict):
        for name, below in part.items():
            yield name
            if name != "$literal" and not (
                is_match and name in MATCHING and not isinstance(below, dict | list)
            ):
                yield from said(below, is_match=is_match or name == "$match")
    elif isinstance(part, list):
        for each in part:
            yield from said(each, is_match=is_match)
    elif isinstance(part, str) and not is_match:
        yield part


@settings(max_examples=150, deadline=None)
@given(pipeline=PIPELINES)
def test_any_pipeline_is_refused_or_compiles_to_known_operators(pipeline: Any) -> None:
    try:
        query = parse({"q": {"pipeline": pipeline, "parameters": PARAMETERS}}, ROOT)["q"]
        values, encoded = query.parameters.read([("text", "$secret")])
        compiled = fill(query.stages, Values(values, encoded, {"makers": []}))
    except (DefinitionInvalid, ParameterInvalid):
        return
    assert compiled[0] == {"$unset": ["one.secret", "secret"]}
    for word in said(compiled[1:]):
        if word.startswith("$"):
            internal = word.startswith(("$_id.k", "$a0", "$a1"))
            assert word in OPERATORS | MATCHING | PATHS | VARIABLES or internal, pipeline


QUERIES = st.fixed_dictionaries({"pipeline": FREE, "parameters": FREE})


@settings(max_examples=100, deadline=None)
@given(queries=st.dictionaries(st.sampled_from(["q", "Q", ""]), FREE | QUERIES, max_size=2))
def test_any_definition_is_parsed_or_refused_with_pointer(queries: Any) -> None:
    faults: tuple[Violation, ...] = ()
    try:
        parse(queries, ROOT)
    except DefinitionInvalid as failure:
        faults = failure.errors
    assert all((each.pointer or "").startswith("/queries") for each in faults)
