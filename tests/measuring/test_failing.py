"""The judge of a failover: whatever must not happen is seen, and nothing else is complained of."""

from collections import Counter
from typing import Any

import pytest

from scripts.measuring.failing.history import Creation, Guarded, History, Outcome, Request, Tally
from scripts.measuring.failing.judge import judge
from scripts.measuring.failing.table import Result, render
from scripts.measuring.failing.windows import Measured, Round, measure

ACKNOWLEDGED, REFUSED, UNKNOWN = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.UNKNOWN
CONTENT = {"name": "nail", "price": 1.0}

FAULT_S = 100.0
ROUND = Round(1, "kill -9", began_s=90, fault_s=FAULT_S, struck_s=FAULT_S + 0.5, allowed_s=5, ended_s=120)

Documents = list[dict[str, Any]]


def creation(outcome: Outcome, deletion: Outcome | None = None) -> History:
    return History(creations={"nail": Creation("nail", CONTENT, outcome, deletion=deletion)})


def stored(price: float = 1.0, version: int = 1, name: str = "nail") -> dict[str, Any]:
    return {"name": name, "price": price, "_version": version}


def tally(acknowledged: int, unknown: int, *versions: int) -> History:
    return History(tallies={"nail": Tally(acknowledged, unknown, Counter(versions))})


def guarded(acknowledged: dict[int, list[float]], unknown: dict[int, list[float]] | None = None) -> History:
    return History(guarded={"nail": Guarded(acknowledged, unknown or {})})


SOUND = {
    "created": (creation(ACKNOWLEDGED), [stored()]),
    "created or not": (creation(UNKNOWN), []),
    "created, though nobody was told": (creation(UNKNOWN), [stored()]),
    "refused": (creation(REFUSED), []),
    "deleted": (creation(ACKNOWLEDGED, ACKNOWLEDGED), []),
    "deleted or not": (creation(ACKNOWLEDGED, UNKNOWN), [stored()]),
    "deleted, though nobody was told": (creation(ACKNOWLEDGED, UNKNOWN), []),
    "counted": (tally(2, 0, 2, 3), [stored(2, 3)]),
    "counted, and perhaps more": (tally(2, 3, 2, 4), [stored(4, 5)]),
    "changed": (guarded({2: [7.0], 3: [8.0]}), [stored(8, 3)]),
    "changed, and perhaps again": (guarded({2: [7.0]}, {3: [8.0, 9.0]}), [stored(9, 3)]),
}

BROKEN = {
    "a creation is lost": (creation(ACKNOWLEDGED), [], "lost"),
    "a creation came twice": (creation(ACKNOWLEDGED), [stored(), stored()], "duplicated"),
    "a creation nobody was told of came twice": (creation(UNKNOWN), [stored(), stored()], "duplicated"),
    "another content": (creation(ACKNOWLEDGED), [stored(2)], "wrong"),
    "refused and stored": (creation(REFUSED), [stored()], "wrong"),
    "deleted and back": (creation(ACKNOWLEDGED, ACKNOWLEDGED), [stored()], "wrong"),
    "a deletion was refused and it is gone": (creation(ACKNOWLEDGED, REFUSED), [], "lost"),
    "nobody asked for it": (History(), [stored()], "wrong"),
    "an increment is lost": (tally(3, 1), [stored(2, 3)], "lost"),
    "an increment came twice": (tally(2, 1), [stored(4, 5)], "duplicated"),
    "two increments are one": (tally(2, 0, 2, 2), [stored(2, 3)], "lost"),
    "an increment without a version": (tally(2, 0), [stored(2, 4)], "wrong"),
    "what is counted is gone": (tally(0, 0), [], "lost"),
    "what is counted is there twice": (tally(0, 0), [stored(0), stored(0)], "duplicated"),
    "two changes of one version": (guarded({2: [7.0, 8.0]}), [stored(8, 2)], "lost"),
    "a change is undone": (guarded({2: [7.0], 3: [8.0]}), [stored(7, 2)], "lost"),
    "a change is overwritten": (guarded({2: [7.0]}), [stored(9, 2)], "lost"),
    "a change that nobody asked for": (guarded({2: [7.0]}), [stored(9, 3)], "wrong"),
}


@pytest.mark.parametrize("case", SOUND)
def test_allowed_history_is_accepted(case: str) -> None:
    history, documents = SOUND[case]
    assert judge(history, documents).sentences == []


@pytest.mark.parametrize("case", BROKEN)
def test_lost_duplicated_or_wrong_document_is_reported(case: str) -> None:
    history, documents, column = BROKEN[case]
    verdict = judge(history, documents)
    assert [len(verdict.lost), len(verdict.duplicated), len(verdict.wrong)] == [
        int(column == name) for name in ("lost", "duplicated", "wrong")
    ]


def test_contradiction_seen_by_client_is_reported_as_wrong() -> None:
    history = creation(ACKNOWLEDGED)
    history.contradictions.append("reading nail, which was acknowledged, was 404")
    assert judge(history, [stored()]).wrong == history.contradictions


def request(ended_s: float, status: int | None, *, took_s: float = 0.1, **more: bool) -> Request:
    return Request("create", ended_s - took_s, ended_s, status, **({"is_write": True} | more))


def result(*requests: Request, are_workers_same: bool = True, history: History | None = None) -> Result:
    verdict = judge(history or History(), [])
    return Result(measure(ROUND, requests), verdict, are_workers_same=are_workers_same)


UNAVAILABLE = request(102, 503, has_retry_after=True)
WELL = [request(101, 201), request(101, 200, is_write=False)]


def test_errors_within_window_are_only_counted() -> None:
    well = result(*WELL, UNAVAILABLE, request(99, 201, took_s=0.125), request(112, 201, took_s=0.25))
    assert well.sentences == []
    assert well.measured == Measured(
        round=ROUND,
        requests=5,
        acknowledged_writes=3,
        errors_inside=1,
        errors_outside=0,
        last_error_s=2.0,
        first_write_s=1.0,
        first_read_s=1.0,
        longest_s=0.25,
        p99_before_s=0.125,
        p99_after_s=0.25,
        late=(),
        faults=(),
    )


@pytest.mark.parametrize(
    ("met", "sentence"),
    [
        (
            request(105.5, 503, has_retry_after=True),
            "errors before the fault, or later than 5 s after the fault: create 503 from 5.40 to 5.50 s",
        ),
        (
            request(99.5, 503, has_retry_after=True),
            "errors before the fault, or later than 5 s after the fault: create 503 from -0.60 to -0.50 s",
        ),
        (request(102, 503), "a create got 503 without Retry-After"),
        (request(102, 500, has_retry_after=True), "a create got 500"),
        (request(102, 429, has_retry_after=True), "a create got 429"),
        (request(102, None), "a create got no answer"),
    ],
)
def test_error_outside_window_or_of_other_kind_is_reported(met: Request, sentence: str) -> None:
    assert result(*WELL, met).sentences == [sentence]


@pytest.mark.parametrize("missing", [0, 1])
def test_service_without_later_write_and_read_has_not_recovered(missing: int) -> None:
    assert result(WELL[1 - missing]).sentences == ["the service did not recover"]


def test_replaced_worker_is_reported() -> None:
    assert result(*WELL, are_workers_same=False).sentences == ["a worker was started again"]


def test_failover_table_has_row_for_each_round() -> None:
    lost = result(*WELL, UNAVAILABLE, history=creation(ACKNOWLEDGED))
    lines = render([result(*WELL), lost]).splitlines()
    assert lines[2:] == [
        "| 1 | kill -9 | 2 | 0 | 0 | - | 5 | 1.00 | 1.00 | 0.10 | - | - | 1 | 0 | 0 | 0 |",
        "| 1 | kill -9 | 3 | 1 | 0 | 2.00 | 5 | 1.00 | 1.00 | 0.10 | - | - | 1 | 1 | 0 | 0 |",
    ]
    assert lost.sentences == ["nail was acknowledged and is not stored"]
