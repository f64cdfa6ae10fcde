"""The standard measurement: Sheaf under each workload, beside its limits in the same run."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from scripts.measuring import running, workloads
from scripts.measuring.plan import Plan
from scripts.measuring.running import Case, Row
from scripts.measuring.session import Session
from scripts.measuring.targets import Target


def measure(
    session: Session, plan: Plan, services: Sequence[str], outside: Sequence[str], tell: Callable[[Row], None]
) -> list[Row]:
    """Measure the chosen services of `sheaf`, `naive` and `static`, and those that run already."""
    starts = {"sheaf": session.sheaf, "naive": session.naive, "static": session.static}
    chosen = [start for name, start in starts.items() if name in services]
    with ThreadPoolExecutor() as pool:  # each takes a second or two, mostly of importing
        targets = [each.result() for each in [pool.submit(start) for start in chosen]]
    targets += [session.outside(each) for each in outside]
    for target in targets:
        target.seed(plan.documents)
        target.check()
    session.client.admin.command("fsync")  # a checkpoint now, and not in the middle of somebody's run
    return running.measure_all(cases(targets, plan), plan, session.mongod_pids, tell)


def cases(targets: list[Target], plan: Plan) -> list[Case]:
    """Return what is measured in a round: of each workload one service after the other."""
    return [
        Case(target, workload, connections)
        for workload in (*plan.workloads, workloads.STATIC)
        for connections in plan.connections
        for target in targets
        if workload in target.workloads
    ]
