"""What is measured: Sheaf, its two limits, and services that run already."""

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from pymongo import DESCENDING
from pymongo.collection import Collection

from scripts.measuring import products, workloads
from scripts.measuring.requests import Dialect, Request

TIMEOUT_S = 30
BATCH = 10_000
PLAIN_INDEXES = [[("createdAt", DESCENDING)], [("category", 1), ("createdAt", DESCENDING), ("price", 1)]]
SHEAF_INDEXES = [
    [("_created_at", DESCENDING), ("_id", DESCENDING)],
    [("category", 1), ("_created_at", DESCENDING), ("_id", DESCENDING), ("price", 1)],
]

Documents = Collection[dict[str, Any]]


class WrongAnswerError(Exception):
    """A service does not answer what it is measured by."""


@dataclass
class Target:
    """One service: where it is, how it is spoken to, and which processes it consists of."""

    name: str
    host: str
    port: int
    dialect: Dialect
    pids: list[int]
    workloads: tuple[str, ...] = workloads.WORKLOADS
    documents: "Documents | None" = None
    seeded: int = 0
    requests: dict[str, list[Request]] = field(default_factory=dict)

    def requests_of(self, workload: str) -> list[Request]:
        """Give the requests of a workload, made once."""
        if workload not in self.requests:
            self.requests[workload] = workloads.make(workload, self.dialect, self.seeded, self.tag_of)
        return self.requests[workload]

    def tag_of(self, request: Request) -> str:
        """Ask for the entity tag of what a request reads."""
        return self.ask(request)[1].get("etag", "")

    def ask(self, request: Request) -> tuple[int, dict[str, str], Any]:
        """Send one request and give status, headers with lower-case names, and the body as JSON."""
        connection = HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(request.method, request.path, request.body or None, request.headers)
            answer = connection.getresponse()
            content = answer.read()
            headers = {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()
        return answer.status, headers, json.loads(content) if content else None

    def seed(self, count: int, *, with_indexes: bool) -> None:
        """Put so many products into its database, in place of all that is there."""
        if self.documents is None:
            return
        self.seeded = count
        self.documents.delete_many({})
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            self.documents.insert_many([self.dialect.stored(number) for number in numbers], ordered=False)
        if with_indexes:
            for keys in SHEAF_INDEXES if type(self.dialect) is Dialect else PLAIN_INDEXES:
                self.documents.create_index(keys)

    def forget_created(self) -> None:
        """Remove what was created since the products were put there."""
        if self.documents is not None:
            self.documents.delete_many({"_id": {"$gt": products.identifier(self.seeded - 1)}})

    def check(self) -> None:
        """Ask one of each kind and read the whole answers; raises WrongAnswerError."""
        for workload in self.workloads:
            if workload == "static":
                self._check_static()
            elif workload != "mixed":
                request = self.requests_of(workload)[0]
                status, _, body = self.ask(request)
                if status != request.status or not self._is_right(workload, request, body):
                    raise WrongAnswerError(f"{self.name}, {workload}: {status} {str(body)[:200]}")

    def _check_static(self) -> None:
        request = self.requests["static"][0]
        status, _, body = self.ask(request)
        if status != request.status or not body:
            raise WrongAnswerError(f"{self.name}: {status} {str(body)[:200]}")

    def _is_right(self, workload: str, request: Request, body: Any) -> bool:
        if workload == "get":
            number = int(str(request.path.rpartition("/")[2])[8:], 16)
            expected = products.fields(number)
            return self._has(body, expected)
        if workload == "create":
            return self._has(body, json.loads(request.body))
        if workload == "304":
            return body is None
        numbers = [int(str(each["name"]).split()[-1]) for each in self.dialect.many(body)]
        return len(numbers) == products.PAGE and numbers == sorted(numbers, reverse=True)

    def _has(self, body: Any, expected: dict[str, Any]) -> bool:
        found = self.dialect.one(body)
        return {name: found.get(name) for name in expected} == expected


def sign_in(host: str, port: int) -> str:
    """Register somebody with Sheaf, sign in, and give the access token."""
    who = {"email": "measuring@example.org", "password": "correct-horse-battery-staple-7"}
    target = Target("sign-in", host, port, Dialect(), [])
    headers = {"Content-Type": "application/json"}
    for path in ("register", "login"):
        request = Request("POST", f"/api/auth/{path}", headers, json.dumps(who))
        status, _, body = target.ask(request)
        if status not in {200, 201}:
            raise WrongAnswerError(f"{path}: {status} {body}")
    return str(body["data"]["access_token"])
