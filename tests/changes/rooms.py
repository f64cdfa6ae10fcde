"""A collection of a test, and what is done to its documents."""

from typing import Any

from tests.changes.events import watching
from tests.conftest import Service

SCHEMA = {
    "type": "object",
    "properties": {
        "room": {"type": "string"},
        "n": {"type": "integer"},
        "to": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
        "secret": {"type": "string", "writeOnly": True},
    },
}
RULES: dict[str, Any] = {"read": "anyone", "write": "user"}


class Room:
    """A collection of its own, and what a test does to its documents as a signed-in user."""

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.path = f"/api/{name}"
        self.name = name
        self.headers = service.signed_in()

    async def define(self, **parts: Any) -> None:
        body = {"name": self.name, "schema": SCHEMA, "rules": RULES} | parts
        admin = self.service.signed_in("admin")
        answer = await self.service.client.post("/api/collections", json=body, headers=admin)
        assert answer.status_code == 201, answer.text

    async def redefine(self, **parts: Any) -> None:
        body = {"schema": SCHEMA, "rules": RULES} | parts
        admin = self.service.signed_in("admin")
        path = f"/api/collections/{self.name}"
        answer = await self.service.client.put(path, json=body, headers=admin)
        assert answer.status_code == 200, answer.text

    async def create(self, document: Any, headers: dict[str, str] | None = None) -> Any:
        answer = await self.service.client.post(self.path, json=document, headers=headers or self.headers)
        assert answer.status_code == 201, answer.text
        return None if isinstance(document, list) else answer.json()["data"]

    async def patch(self, document: Any, patch: Any) -> Any:
        path = f"{self.path}/{document['id']}"
        answer = await self.service.client.patch(path, json=patch, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def delete(self, document: Any) -> None:
        path = f"{self.path}/{document['id']}"
        answer = await self.service.client.delete(path, headers=self.headers)
        assert answer.status_code == 204, answer.text

    def watch(self, app: Any = None, **parameters: Any) -> Any:
        """Open a stream of its changes, on another worker if `app` is one."""
        return watching(app or self.service.app, self.path, **parameters)


def brief(told: Any) -> tuple[Any, ...]:
    """Return what matters of an event: its name, why, and the document's number and version."""
    if told["event"] == "put":
        return "put", told["why"], told["data"].get("n"), told["data"]["_version"]
    if told["event"] == "gone":
        return "gone", told["why"], told["id"], told.get("_version")
    return (told["event"],)
