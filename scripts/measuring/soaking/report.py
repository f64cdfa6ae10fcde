"""What a soak has found, as tables."""

from collections import Counter
from collections.abc import Sequence

from scripts.measuring.soaking.journal import Entry, Journal
from scripts.measuring.soaking.judge import Finding
from scripts.measuring.table import markdown

EXAMPLES = 10


def findings(found: Sequence[Finding]) -> str:
    """Write what was watched, and whether it leaks."""
    rows = [
        [
            each.what,
            f"{each.first:,.1f}",
            f"{each.last:,.1f}",
            f"+{each.allowed:,.1f}",
            "-" if each.per_hour is None else f"{each.per_hour:+,.1f}",
            _verdict(each),
        ]
        for each in found
    ]
    return markdown(["", "settled", "at the end", "allowed", "per hour", "leaks"], rows, words=1)


def requests(journal: Journal) -> str:
    """Write what clients asked, and what came of it that was not expected."""
    unexplained = journal.unexplained()
    faults = Counter(fault.kind for fault in journal.faults)
    asked = ", ".join(f"{count:,} {kind}" for kind, count in journal.kinds().most_common())
    befallen = ", ".join(f"{kind} {count} times" for kind, count in faults.items())
    lines = [
        f"{len(journal.entries):,} requests: {asked}.",
        f"Faults: {befallen}. Errors that they explain: {journal.lost()}; others: {len(unexplained)}.",
    ]
    return "\n".join([*lines, *(_described(entry, journal) for entry in unexplained[:EXAMPLES])])


def _described(entry: Entry, journal: Journal) -> str:
    """Write what came of a request, how long it took, and how long after which fault it began."""
    before = [fault for fault in journal.faults if fault.began_s <= entry.began_s]
    last = f", {entry.began_s - before[-1].began_s:.1f} s after {before[-1].kind}" if before else ""
    took_s = entry.ended_s - entry.began_s
    return f"- {entry.kind}: {entry.outcome} after {took_s:.2f} s{last} {entry.detail}".rstrip()


def _verdict(finding: Finding) -> str:
    if not finding.is_judged:
        return "too short to tell"
    return "YES" if finding.leaks else "no"
