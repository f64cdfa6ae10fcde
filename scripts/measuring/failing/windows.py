"""When errors came, beside when they may: within so many seconds of a fault, and at no other time."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.measuring.failing.history import DOCUMENTED, Request


@dataclass(frozen=True, slots=True)
class Round:
    """One fault: when its round began, when it came and was complete, how long errors may come, the end."""

    number: int
    fault: str
    began_s: float
    fault_s: float
    struck_s: float
    allowed_s: float
    ended_s: float

    @property
    def closes_s(self) -> float:
        """When the last error may come."""
        return self.fault_s + self.allowed_s


@dataclass(frozen=True, slots=True)
class Measured:
    """What clients met in one round; times are seconds after the fault, None without such a request."""

    round: Round
    requests: int
    acknowledged_writes: int
    errors_inside: int
    errors_outside: int
    last_error_s: float | None
    first_write_s: float | None
    first_read_s: float | None
    longest_s: float
    p99_before_s: float | None
    p99_after_s: float | None
    late: tuple[str, ...]
    """The errors outside, a phrase each."""
    faults: tuple[str, ...]
    """What no client should meet at any time: an undocumented status, 503 without `Retry-After`, silence."""


def measure(round_: Round, requests: Sequence[Request]) -> Measured:
    """Sum up the requests that were answered during a round."""
    own = [each for each in requests if round_.began_s <= each.ended_s <= round_.ended_s]
    errors = [each for each in own if each.is_error]
    inside = [each for each in errors if round_.fault_s <= each.ended_s <= round_.closes_s]
    done = [each for each in own if each.is_done and each.began_s >= round_.struck_s]
    return Measured(
        round=round_,
        requests=len(own),
        acknowledged_writes=sum(1 for each in own if each.is_write and each.is_done),
        errors_inside=len(inside),
        errors_outside=len(errors) - len(inside),
        last_error_s=max((each.ended_s - round_.fault_s for each in errors), default=None),
        first_write_s=min((each.ended_s - round_.fault_s for each in done if each.is_write), default=None),
        first_read_s=min((each.ended_s - round_.fault_s for each in done if not each.is_write), default=None),
        longest_s=max((each.latency_s for each in own), default=0.0),
        p99_before_s=p99([each.latency_s for each in own if each.ended_s < round_.fault_s]),
        p99_after_s=p99([each.latency_s for each in own if each.began_s > round_.closes_s]),
        late=tuple(_phrase(each, round_) for each in errors if each not in inside),
        faults=tuple(sorted({_fault(each) for each in own} - {""})),
    )


def p99(latencies_s: Sequence[float]) -> float | None:
    """Return the latency that one request in a hundred exceeds, None of no requests.

    >>> p99([0.001 * number for number in range(1, 201)])
    0.198
    """
    if not latencies_s:
        return None
    ranked = sorted(latencies_s)
    return ranked[max(0, -(-len(ranked) * 99 // 100) - 1)]


def _phrase(error: Request, round_: Round) -> str:
    began_s, ended_s = error.began_s - round_.fault_s, error.ended_s - round_.fault_s
    return f"{error.kind} {error.status or 'without an answer'} from {began_s:.2f} to {ended_s:.2f} s"


def _fault(request: Request) -> str:
    if request.status is None:
        return f"a {request.kind} got no answer"
    if request.status not in DOCUMENTED:
        return f"a {request.kind} got {request.status}"
    if request.is_error and not request.has_retry_after:
        return f"a {request.kind} got {request.status} without Retry-After"
    return ""
