"""What is to be measured can be chosen, and a wrong choice is named before anything starts."""

import pytest
from click.testing import CliRunner

from scripts.measuring import __main__ as bench
from scripts.measuring.plan import GROWTH, QUICK, Plan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workloads", "get,lists"], "'lists' is not one of get, list, filter, create, mixed, 304"),
        (["--connections", "many"], "'many' is not one of the numbers"),
        (["--services", "sheaf,mongoose"], "'mongoose' is not one of sheaf, naive, static"),
        (["--seconds", "0"], "0 is not in the range"),
        (["speed"], "'speed' is not one of"),
    ],
)
def test_invalid_bench_option_is_named(options: list[str], words: str) -> None:
    answer = CliRunner().invoke(bench.main, options)
    assert answer.exit_code == 2
    assert words in answer.output


def test_options_change_only_their_part_of_plan() -> None:
    chosen = {"connections": ("1", "64"), "seconds": 2.0, "rounds": None}
    plan = bench.planned(Plan(), chosen, quick=False)
    assert (plan.connections, plan.seconds, plan.rounds) == ((1, 64), 2.0, Plan().rounds)
    assert plan.documents == Plan().documents


def test_quick_option_selects_quick_plan() -> None:
    assert bench.planned(GROWTH, {}, quick=True) == QUICK
