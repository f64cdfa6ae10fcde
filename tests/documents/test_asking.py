"""Lists that are asked for again: remembered where nothing but the definition decides how they are read."""

from dataclasses import replace
from typing import Any

import pytest

from service.access.decisions import ALLOWED, Decision, Grant
from service.access.principals import ANONYMOUS
from service.documents.asking import MAXIMUM_BYTES, MAXIMUM_KNOWN, KnownLists
from service.documents.targets import Targets
from service.errors import ParameterInvalid
from service.query.lists import Selection
from service.query.tree import Compare
from service.registry import Collection

SHARES_SERVICE = True

MASKED = Decision((Grant(fields=Selection((("name",),))),))
NARROWED = Decision((Grant(where=Compare(("price",), "gt", 5)),))


@pytest.fixture
def goods(app: Any) -> Collection:
    found: Collection = app.state.registry.get("products")
    return found


@pytest.fixture
def targets(app: Any) -> Targets:
    return Targets(app.state.registry, ANONYMOUS)


def test_a_list_is_read_once(goods: Collection, targets: Targets) -> None:
    known = KnownLists()
    first = known.read(targets, goods, ALLOWED, b"filter%5Bprice%5D%5Bgte%5D=3&sort=name&page=2")
    assert known.read(targets, goods, ALLOWED, b"filter%5Bprice%5D%5Bgte%5D=3&sort=name&page=2") is first
    assert first.repeated == "filter%5Bprice%5D%5Bgte%5D=3&sort=name"
    assert first.plan is not None
    assert first.plan.reader.where == {"price": {"$gte": 3}}


def test_a_list_that_a_rule_narrows_is_the_same_question(goods: Collection, targets: Targets) -> None:
    known = KnownLists()
    assert known.read(targets, goods, NARROWED, b"page=2") is known.read(targets, goods, ALLOWED, b"page=2")


@pytest.mark.parametrize(
    ("decision", "query"),
    [
        (MASKED, b"page=2"),
        (ALLOWED, b"filter%5Bname%5D=" + b"x" * MAXIMUM_BYTES),
        (ALLOWED, b"cursor=abc"),
    ],
)
def test_what_somebody_else_would_read_otherwise_is_not_remembered(
    goods: Collection, targets: Targets, decision: Decision, query: bytes
) -> None:
    known = KnownLists()
    asked = known.read(targets, goods, decision, query)
    assert asked.plan is None
    assert known.read(targets, goods, decision, query) is not asked


def test_another_definition_reads_anew(goods: Collection, targets: Targets) -> None:
    known = KnownLists()
    first = known.read(targets, goods, ALLOWED, b"page=2")
    newer = replace(goods, version=goods.version + 1)
    assert known.read(targets, newer, ALLOWED, b"page=2") is not first


def test_a_wrong_list_is_refused_each_time(goods: Collection, targets: Targets) -> None:
    known = KnownLists()
    for _ in range(2):
        with pytest.raises(ParameterInvalid):
            known.read(targets, goods, ALLOWED, b"page=nonsense")


def test_the_oldest_is_forgotten(goods: Collection, targets: Targets) -> None:
    known = KnownLists()
    first = known.read(targets, goods, ALLOWED, b"page=1")
    for number in range(MAXIMUM_KNOWN):
        known.read(targets, goods, ALLOWED, b"filter%%5Bprice%%5D=%d" % number)
    assert known.read(targets, goods, ALLOWED, b"page=1") is not first
