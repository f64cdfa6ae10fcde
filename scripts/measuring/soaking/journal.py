"""What clients asked and were told, what faults there were, and which errors those explain."""

from collections import Counter
from dataclasses import dataclass, field

CLOSED, REFUSED, TIMED_OUT = "closed", "refused", "timed out"
"""What became of a request that got no answer."""

KILL, FREEZE, VANISH, RENEW = "worker killed", "MongoDB frozen", "clients vanish", "workers renewed"

KILL_EXPLAINS_S = 1.0
"""How long after a kill its connections are seen to be closed."""

FREEZE_EXPLAINS_S = 3.0
"""How long after MongoDB is back requests may still be told that it was away."""

UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, and what came of it: a status, or why there was none; expected or not."""

    kind: str
    began_s: float
    ended_s: float
    outcome: int | str
    is_expected: bool
    detail: str = ""
    """What the answer says of itself, if it was not expected."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, from when to when it lasted."""

    kind: str
    began_s: float
    ended_s: float


@dataclass
class Journal:
    """All of it."""

    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def unexplained(self) -> list[Entry]:
        """Return the requests that were answered wrongly, or not at all, without a fault to explain it."""
        return [entry for entry in self.entries if not entry.is_expected and not self._is_explained(entry)]

    def lost(self) -> int:
        """Count the requests whose errors are explained."""
        return sum(not entry.is_expected for entry in self.entries) - len(self.unexplained())

    def kinds(self) -> Counter[str]:
        """Count the requests by kind."""
        return Counter(entry.kind for entry in self.entries)

    def _is_explained(self, entry: Entry) -> bool:
        """Return whether a fault explains an error: a kill those in flight there, a frozen MongoDB 503."""
        for fault in self.faults:
            if fault.kind == KILL and entry.outcome == CLOSED:
                grace_s = KILL_EXPLAINS_S
            elif fault.kind == FREEZE and entry.outcome == UNAVAILABLE:
                grace_s = FREEZE_EXPLAINS_S
            else:
                continue
            if entry.began_s <= fault.ended_s + grace_s and entry.ended_s >= fault.began_s:
                return True
        return False
