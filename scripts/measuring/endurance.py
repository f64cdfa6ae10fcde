"""Memory of one worker over a million requests."""

from collections.abc import Callable

from scripts.measuring import running
from scripts.measuring.plan import Plan
from scripts.measuring.running import Case, Row
from scripts.measuring.session import Session

CONNECTIONS = 32
LIMIT_MB = 150
TOLERANCE = 0.05
"""What memory may differ from the first step to the last one without being called growth."""


def measure(session: Session, plan: Plan, tell: Callable[[Row], None]) -> list[Row]:
    """Send mixed requests in steps and measure the worker after each."""
    target = session.sheaf()
    target.seed(plan.documents)
    target.check()
    case = Case(target, "mixed", CONNECTIONS)
    rows = []
    with running.Generator() as generator:
        for number in range(plan.memory_requests // plan.memory_step):
            row = running.measure(generator, case, plan, session.mongod_pids, number, plan.memory_step)
            tell(row)
            rows.append(row)
    return rows
