"""What is measured: a service, how it is spoken to, the processes that it consists of, its documents."""

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from pymongo.collection import Collection

from scripts.measuring import products, workloads
from scripts.measuring.requests import Dialect, Request

TIMEOUT_S = 30
BATCH = 10_000
JSON = {"Content-Type": "application/json"}

Documents = Collection[dict[str, Any]]


class WrongAnswerError(Exception):
    """A service does not answer what it is measured by."""


@dataclass
class Target:
    """One service, or a part of one, under the name that the tables have for it."""

    name: str
    host: str
    port: int
    dialect: Dialect
    pids: list[int]
    workloads: tuple[str, ...] = workloads.WORKLOADS
    collections: list[Documents] = field(default_factory=list)
    seeded: int = 0
    """Products in each of the collections."""
    requests: dict[str, list[Request]] = field(default_factory=dict)
    """Of each workload, where they are made already."""

    def requests_of(self, workload: str, count: int | None = None) -> list[Request]:
        """Return the requests of a workload, so many different ones, made once."""
        if workload not in self.requests:
            made = workloads.make(workload, self.dialect, self.seeded, self.tag_of, count)
            self.requests[workload] = made
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

    def expect(self, request: Request) -> Any:
        """Send one request and give the body; raises WrongAnswerError for another status than it expects."""
        status, _, body = self.ask(request)
        if status != request.status:
            raise WrongAnswerError(
                f"{self.name}, {request.method} {request.path}: {status} {str(body)[:300]}"
            )
        return body

    def seed(self, count: int) -> None:
        """Put so many products into each collection, in place of all that is there."""
        self.seeded = count
        for documents in self.collections:
            documents.delete_many({})
            for first in range(0, count, BATCH):
                numbers = range(first, min(first + BATCH, count))
                documents.insert_many([self.dialect.stored(number) for number in numbers], ordered=False)

    def forget_created(self) -> None:
        """Remove what was created since the products were put there."""
        for documents in self.collections:
            documents.delete_many({"_id": {"$gt": products.identifier(self.seeded - 1)}})

    def check(self) -> None:
        """Ask one of each kind and read the whole answer; raises WrongAnswerError."""
        for workload in self.workloads:
            if workload != "mixed":
                request = self.requests_of(workload)[0]
                body = self.expect(request)
                if not self._is_right(workload, request, body):
                    raise WrongAnswerError(f"{self.name}, {workload}: {str(body)[:300]}")
        self.forget_created()

    def _is_right(self, workload: str, request: Request, body: Any) -> bool:
        if workload == "304":
            return body is None
        if workload == "create":
            return self._has(body, json.loads(request.body))
        if workload == "get":
            number = int(request.path.rpartition("/")[2][8:], 16)
            return self._has(body, products.fields(number))
        if workload in {"list", "filter"}:
            numbers = [int(str(each["name"]).split()[-1]) for each in self.dialect.many(body)]
            return bool(numbers) and numbers == sorted(numbers, reverse=True)
        return json.dumps(body, separators=(",", ":")).startswith(request.starts)

    def _has(self, body: Any, expected: dict[str, Any]) -> bool:
        found = self.dialect.one(body)
        return {name: found.get(name) for name in expected} == expected


def post(path: str, body: Any, token: str | None = None, status: int = 201) -> Request:
    """Return a request that posts something to Sheaf."""
    headers = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
    return Request("POST", path, headers, json.dumps(body), status)
