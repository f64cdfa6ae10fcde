"""The soak in a few seconds: the same service, clients, faults and judgement, and nothing is found."""

from pathlib import Path

import pytest

from scripts.measuring import soak
from scripts.measuring.soaking import judge
from scripts.measuring.soaking.journal import CLOSED, FREEZE, KILL, Entry, Fault, Journal
from scripts.measuring.soaking.samples import Held, Sample

pytestmark = [pytest.mark.alone, pytest.mark.xdist_group("busy")]

SHORT = soak.Plan(seconds=2.4, clients=3, frozen_s=0.2, rest_s=1.2, patience_s=20)


def test_short_soak_injects_all_faults_and_reports_no_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_well = soak.soak(SHORT, tmp_path)
    told = capsys.readouterr().out
    assert is_well, told
    for expected in (
        "worker killed 1 times",
        "MongoDB frozen 1 times",
        "workers renewed 1 times",
        "others: 0.",
    ):
        assert expected in told


def sample(at_s: float, descriptors: int) -> Sample:
    held = Held(100.0, descriptors, 10)
    return Sample(at_s, held, {1: held}, 20, 5, 10, 0, 0)


@pytest.mark.parametrize(("each", "leaks"), [(0, False), (1, True)])
def test_steady_growth_is_reported_as_leak(each: int, leaks: bool) -> None:
    samples = [sample(number, 30 + each * number + number % 3) for number in range(60)]
    found = {finding.what: finding.leaks for finding in judge.under_load(samples, 1, clients=4)}
    assert found["worker: descriptors"] is leaks
    assert not found["worker: threads"]


@pytest.mark.parametrize(
    ("outcome", "began_s", "ended_s", "is_explained"),
    [
        (CLOSED, 9.0, 10.2, True),
        (CLOSED, 12.0, 12.1, False),
        (CLOSED, 8.0, 9.9, False),
        (503, 31.0, 31.5, True),
        (503, 10.0, 10.1, False),
        (500, 31.0, 31.5, False),
    ],
)
def test_fault_explains_only_errors_of_its_kind_and_time(
    outcome: int | str, began_s: float, ended_s: float, is_explained: bool
) -> None:
    entry = Entry("get", began_s, ended_s, outcome, is_expected=False)
    journal = Journal([entry], [Fault(KILL, 10.0, 10.0), Fault(FREEZE, 30.0, 32.0)])
    assert journal.unexplained() == ([] if is_explained else [entry])
