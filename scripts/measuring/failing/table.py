"""The results of a run, a row for each fault, in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.measuring.failing.judge import Verdict
from scripts.measuring.failing.windows import Measured

HEAD = (
    "round",
    "fault",
    "requests",
    "errors inside",
    "errors outside",
    "last error s",
    "errors allowed s",
    "first write s",
    "first read s",
    "longest wait s",
    "p99 before ms",
    "p99 after ms",
    "writes",
    "lost",
    "duplicated",
    "wrong",
)


@dataclass(frozen=True, slots=True)
class Result:
    """One round: what clients met, what was stored after it, and whether the workers are the same."""

    measured: Measured
    verdict: Verdict
    are_workers_same: bool

    @property
    def sentences(self) -> list[str]:
        """What does not hold, a sentence each; none when all is well."""
        measured = self.measured
        said = [*self.verdict.sentences, *measured.faults]
        if measured.errors_outside:
            closes = f"{measured.round.allowed_s:g} s after the fault"
            said.append(f"errors before the fault, or later than {closes}: {', '.join(measured.late)}")
        if measured.first_write_s is None or measured.first_read_s is None:
            said.append("the service did not recover")
        if not self.are_workers_same:
            said.append("a worker was started again")
        return said


def render(results: Sequence[Result]) -> str:
    """Return the table, with a last row of sums and worst values."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(_row(result) for result in results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def row(result: Result) -> str:
    """Return the row of one round."""
    return f"| {' | '.join(_row(result))} |"


def _row(result: Result) -> tuple[str, ...]:
    measured, verdict = result.measured, result.verdict
    return (
        str(measured.round.number),
        measured.round.fault,
        str(measured.requests),
        str(measured.errors_inside),
        str(measured.errors_outside),
        _seconds(measured.last_error_s),
        f"{measured.round.allowed_s:g}",
        _seconds(measured.first_write_s),
        _seconds(measured.first_read_s),
        _seconds(measured.longest_s),
        _milliseconds(measured.p99_before_s),
        _milliseconds(measured.p99_after_s),
        str(measured.acknowledged_writes),
        str(len(verdict.lost)),
        str(len(verdict.duplicated)),
        str(len(verdict.wrong)),
    )


def _seconds(value_s: float | None) -> str:
    return "-" if value_s is None else f"{value_s:.2f}"


def _milliseconds(value_s: float | None) -> str:
    return "-" if value_s is None else f"{1000 * value_s:.0f}"
