"""What a soak has found, as tables."""

from collections import Counter
from collections.abc import Sequence

from scripts.measuring.soaking.journal import Journal
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
    wrong = Counter((entry.kind, str(entry.outcome)) for entry in unexplained)
    faults = Counter(fault.kind for fault in journal.faults)
    asked = ", ".join(f"{count:,} {kind}" for kind, count in journal.kinds().most_common())
    befallen = ", ".join(f"{kind} {count} times" for kind, count in faults.items())
    lines = [
        f"{len(journal.entries):,} requests: {asked}.",
        f"Faults: {befallen}. Errors that they explain: {journal.lost()}; others: {len(unexplained)}.",
    ]
    lines += [f"- {kind}: {outcome}, {count} times" for (kind, outcome), count in wrong.most_common(EXAMPLES)]
    return "\n".join(lines)


def _verdict(finding: Finding) -> str:
    if not finding.is_judged:
        return "too short to tell"
    return "YES" if finding.leaks else "no"
