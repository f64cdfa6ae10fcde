"""Cost as work grows: with documents, connections, depth of a list, and collections."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from scripts.measuring import products, running
from scripts.measuring.plan import Plan
from scripts.measuring.requests import Dialect, Request
from scripts.measuring.running import Case, Row
from scripts.measuring.session import Session
from scripts.measuring.targets import Target, post
from scripts.measuring.workloads import SEED

CONNECTIONS = 32
LONGEST_PAGE = 100
TOGETHER = 4000
"""Different requests to all collections together."""
BY_NUMBER = 10_000
"""As many documents may stand before a page that is asked for by its number."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "price"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "price": {"type": "number", "minimum": 0},
        "description": {"type": "string", "maxLength": 2000},
        "category": {"type": "string", "maxLength": 100},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 50},
    },
}
INDEXES = [{"fields": ["-_created_at", "-id"]}, {"fields": ["category", "-_created_at", "-id", "price"]}]
RULES = {"read": "anyone", "create": "user"}


@dataclass(frozen=True)
class Axis:
    """One thing that grows, the cases along it, and whether cost is promised not to grow with it."""

    name: str
    cases: list[Case]
    is_promised: bool = True
    base: int = 0
    """The case of each workload that the last one is compared with."""


def measure(
    session: Session, plan: Plan, say: Callable[[str], None], tell: Callable[[Row], None]
) -> tuple[list[Axis], list[Row]]:
    """Measure all axes."""
    sized = []
    for size in plan.sizes:
        say(f"Storing {size:,} documents …")
        target = session.sheaf(documents(size), f"sheaf_bench_{size}")
        target.seed(size)
        target.check()
        sized.append(target)
    middle, largest = sized[len(sized) // 2], sized[-1]
    say(f"Walking to page {plan.page:,} …")
    paged = [
        pages(largest, first, name) for name, first in (("page 1", 1), (f"page {plan.page:,}", plan.page))
    ]
    say(f"Creating {plan.collections} collections …")
    spread = collections(session.sheaf("collections", "sheaf_bench_collections", for_admin=True), plan)
    axes = [
        Axis(
            "documents", [Case(each, workload, CONNECTIONS) for workload in plan.workloads for each in sized]
        ),
        Axis(
            "connections",
            [
                Case(replace(middle, name=connections_of(count)), workload, count)
                for workload in plan.workloads
                for count in plan.growing_connections
            ],
            base=1,  # a single connection has nothing to share
        ),
        Axis("pages by cursor", [Case(each, "cursor", CONNECTIONS) for each in paged]),
        Axis("pages by number", numbered(largest), is_promised=False),
        Axis(
            "collections",
            [Case(each, workload, CONNECTIONS) for workload in plan.workloads for each in spread],
            is_promised=False,  # of many collections, fewer requests share
        ),
    ]
    session.client.admin.command("fsync")
    cases = [case for axis in axes for case in axis.cases]
    return axes, running.measure_all(cases, plan, session.mongod_pids, tell)


def documents(count: int) -> str:
    """Name a target by its documents."""
    return f"{count:,} documents"


def connections_of(count: int) -> str:
    """Name a case by its connections."""
    return f"{count} connection{'s' * (count > 1)}"


def pages(target: Target, first: int, name: str) -> Target:
    """Return a target that is asked for pages by cursor, from the given one on."""
    token, ahead = None, (first - 1) * products.PAGE
    while ahead > 0:
        limit = min(LONGEST_PAGE, ahead)
        token = target.expect(page(target, limit, token, "&fields=price"))["next"]
        ahead -= limit
    asked: list[Request] = []
    for _ in range(products.PAGES):
        asked.append(page(target, products.PAGE, token))
        body = target.expect(asked[-1])
        token = body.get("next")
        if not body["has_more"]:
            break
    return replace(target, name=name, workloads=("cursor",), requests={"cursor": asked})


def page(target: Target, limit: int, cursor: str | None, more: str = "") -> Request:
    """Return the request for the page at a cursor."""
    place = f"&cursor={cursor}" if cursor else ""
    query = f"limit={limit}&sort=-_created_at{place}{more}"
    return Request("GET", f"{target.dialect.base}?{query}", {}, starts=target.dialect.many_starts)


def numbered(target: Target) -> list[Case]:
    """Return the first pages and the last ones that may be asked for by number."""
    last = min(BY_NUMBER, target.seeded) // products.PAGE
    few = min(products.PAGES, last // 2)
    found = []
    for name, numbers in (
        (f"page {1}", range(1, few + 1)),
        (f"page {last}", range(last - few + 1, last + 1)),
    ):
        asked = [target.dialect.page(number) for number in numbers]
        found.append(Case(replace(target, name=name, requests={"number": asked}), "number", CONNECTIONS))
    return found


def collections(target: Target, plan: Plan) -> list[Target]:
    """Make runtime collections by the API, and give one target that asks one, and one that asks all."""
    token = target.dialect.token
    names = [f"goods-{number:03}" for number in range(plan.collections)]
    for name in names:
        definition = {"name": name, "schema": SCHEMA, "rules": RULES, "indexes": INDEXES}
        target.expect(post("/api/collections", definition, token))
    database = target.collections[0].database
    stored = replace(target, collections=[database[name] for name in names])
    stored.seed(plan.documents_each)
    parts = [
        replace(stored, dialect=Dialect(token, f"/api/{name}"), collections=[database[name]], requests={})
        for name in names
    ]
    for part in parts[:1]:
        part.check()
    together = {workload: mixed_up(parts, workload) for workload in plan.workloads}
    return [
        replace(parts[0], name="1 collection"),
        replace(stored, name=f"{plan.collections} collections", requests=together),
    ]


def mixed_up(parts: list[Target], workload: str) -> list[Request]:
    """Return requests of a workload to all parts, in a random order."""
    each = max(20, TOGETHER // len(parts))
    requests = [
        request for part in parts for request in replace(part, requests={}).requests_of(workload, each)
    ]
    Random(SEED).shuffle(requests)  # noqa: S311 - not a secret
    return requests
