"""Requests made beforehand, as bytes, each with what a right answer to it looks like."""

import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from scripts.measuring import products


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what a right answer to it has: status, first bytes, and at least so many of them."""

    method: str
    path: str
    headers: dict[str, str]
    body: str = ""
    status: int = HTTPStatus.OK
    starts: str = ""
    at_least: int = 0

    def text(self, host: str) -> str:
        """Return the request as it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body.encode())}")
        return "\r\n".join([*lines, "", self.body])

    def changed(self, **changes: Any) -> "Request":
        """Return the request with something else about it."""
        return Request(**(asdict(self) | changes))


class Dialect:
    """How Sheaf spells what is asked of every service, and how its answers are read."""

    one_starts: ClassVar[str] = '{"data":{'
    many_starts: ClassVar[str] = '{"data":[{'

    def __init__(self, token: str | None = None, base: str | None = None) -> None:
        self.token = token
        self.base = base or "/api/products"
        self._writing = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, number: int) -> Request:
        """Ask for one product."""
        return self._read(f"{self.base}/{products.identifier(number)}", self.one_starts, 200)

    def page(self, number: int) -> Request:
        """Ask for a page of the newest products."""
        return self._many(f"page={number}&limit={products.PAGE}&sort=-_created_at")

    def filter(self, category: int, low: int, high: int) -> Request:
        """Ask for the newest products of a category in a range of prices."""
        chosen = f"filter[category]=category-{category}&filter[price][gte]={low}&filter[price][lte]={high}"
        return self._many(f"{quote(chosen, safe='=&')}&limit={products.PAGE}&sort=-_created_at")

    def create(self, number: int) -> Request:
        """Create a product, signed in."""
        body = json.dumps(products.new(number), separators=(",", ":"))
        headers = {**self._writing, "Content-Type": "application/json"}
        created = HTTPStatus.CREATED
        return Request("POST", self.base, headers, body, created, self.one_starts, len(body))

    def one(self, body: Any) -> dict[str, Any]:
        """Read an answer with one product."""
        found: dict[str, Any] = body["data"]
        return found

    def many(self, body: Any) -> list[dict[str, Any]]:
        """Read an answer with a page of products."""
        found: list[dict[str, Any]] = body["data"]
        return found

    def stored(self, number: int) -> dict[str, Any]:
        """Return a seeded product as this service stores it."""
        return products.stored(number)

    def _many(self, query: str) -> Request:
        return self._read(f"{self.base}?{query}", self.many_starts, 200 * products.PAGE)

    def _read(self, path: str, starts: str, at_least: int) -> Request:
        return Request("GET", path, {}, starts=starts, at_least=at_least)


class PlainDialect(Dialect):
    """How a service speaks that was written for this one purpose, as with Express or Fastify."""

    one_starts = "{"
    many_starts = '{"data":[{'

    def page(self, number: int) -> Request:
        """Ask for a page, without a count of all."""
        return self._many(f"page={number}&limit={products.PAGE}&total=false")

    def filter(self, category: int, low: int, high: int) -> Request:
        """Ask by parameters of its own."""
        chosen = f"category=category-{category}&minPrice={low}&maxPrice={high}"
        return self._many(f"{chosen}&limit={products.PAGE}&total=false")

    def one(self, body: Any) -> dict[str, Any]:
        """Read an answer that is the product."""
        found: dict[str, Any] = body
        return found

    def stored(self, number: int) -> dict[str, Any]:
        """Return it with Mongoose's names."""
        return products.plain(number)


DIALECTS = {"sheaf": Dialect, "plain": PlainDialect}
