"""A collection whose rules use all that rules have for writing, and the ways to write to it."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from bson import ObjectId

from tests.conftest import Service, bearer
from tests.services import services_of

OWNER, OTHER, EDITOR, ADMIN = (str(ObjectId()) for _ in range(4))

ROLES: dict[str, tuple[str, tuple[str, ...]] | None] = {
    "anonymous": None,
    "owner": (OWNER, ()),
    "other": (OTHER, ()),
    "editor": (EDITOR, ("editor",)),
    "admin": (ADMIN, ("admin",)),
}

DEFINITION: dict[str, Any] = {
    "name": "papers",
    "schema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 20},
            "author": {"type": "string"},
            "status": {"enum": ["draft", "review", "published"], "default": "draft"},
            "score": {"type": "integer"},
            "secret": {"type": "integer", "maximum": 100},
            "rank": {"type": "integer"},
            "notes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"text": {"type": "string"}, "hidden": {"type": "string"}},
                },
            },
            "place": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
            },
        },
        "required": ["title"],
        "additionalProperties": False,
    },
    "rules": {
        "read": [
            "role:editor",
            {"role": "user", "fields": {"except": ["secret", "rank", "notes.hidden", "place.zip"]}},
        ],
        "write": [
            "role:editor",
            {
                "role": "owner",
                "check": {"status": {"in": ["draft", "review"]}},
                "set": {"author": "$user.id"},
                "fields": {"except": ["score", "rank", "place.zip"]},
            },
        ],
    },
    "options": {"id_type": "string"},
}

STORED: dict[str, Any] = {
    "_id": "p1",
    "title": "Old",
    "author": OWNER,
    "status": "draft",
    "score": 1,
    "secret": 1,
    "rank": 1,
    "_version": 4,
    "_created_at": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    "_updated_at": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    "_owner": OWNER,
}

HIDDEN = ("secret", "rank")

Body = Mapping[str, Any]
Send = Callable[["PapersCollection", str, Body], Any]


@dataclass(frozen=True)
class PapersCollection:
    """The service with the collection, and its documents without the service."""

    service: Service

    @property
    def documents(self) -> Any:
        return self.service.database["papers"]

    def reset(self, *documents: Body) -> None:
        """Have nothing stored but these documents."""
        self.documents.delete_many({})
        if documents:
            self.documents.insert_many([deepcopy(dict(each)) for each in documents])

    def stored(self) -> list[dict[str, Any]]:
        return list(self.documents.find({}, sort=[("_id", 1)]))

    def headers(self, who: str) -> dict[str, str]:
        named = ROLES[who]
        return {} if named is None else bearer(services_of(self.service.app).tokens, named[0], *named[1])

    async def send(
        self, who: str, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx.Response:
        headers = {**self.headers(who), "Content-Type": "application/json", **options.pop("headers", {})}
        content = None if body is None else json.dumps(body)
        return await self.service.client.request(
            method, f"/api{path}", content=content, headers=headers, **options
        )

    async def patch(self, who: str, form: str, body: Any, path: str = "/papers/p1") -> httpx.Response:
        return await self.send(who, "PATCH", path, body, headers={"Content-Type": f"application/{form}+json"})

    async def batch(self, who: str, *, atomic: bool, **operation: Any) -> httpx.Response:
        """Run one operation; returns its own answer, if it is not atomic."""
        body = {"atomic": atomic, "operations": [{"collection": "papers", **operation}]}
        return unwrapped(await self.send(who, "POST", "/batch", body))


def unwrapped(answer: httpx.Response) -> httpx.Response:
    """Return the answer of a batch's only operation as that of a request of its own."""
    if answer.status_code != 200:
        return answer
    [told] = answer.json()["data"]
    content = told.get("problem", {"data": told["data"]} if "data" in told else {})
    return httpx.Response(told["status"], json=content)


async def defined(service: Service) -> PapersCollection:
    """Return the collection, made by an administrator."""
    papers = PapersCollection(service)
    answer = await papers.send("admin", "POST", "/collections", DEFINITION)
    assert answer.status_code == 201, answer.text
    return papers


MERGE, STEPS, OPERATIONS = "merge-patch", "json-patch", "vnd.sheaf.operations"


def whole(changes: Body) -> dict[str, Any]:
    return {"title": "Old", "status": "draft", **changes}


def steps(changes: Body) -> list[dict[str, Any]]:
    return [{"op": "add", "path": f"/{name}", "value": value} for name, value in changes.items()]


CREATIONS: dict[str, Send] = {
    "POST": lambda papers, who, body: papers.send(who, "POST", "/papers", whole(body)),
    "POST array": lambda papers, who, body: papers.send(who, "POST", "/papers", [whole(body)]),
    "PUT upsert": lambda papers, who, body: papers.send(who, "PUT", "/papers/p2?upsert=true", whole(body)),
    "batch create": lambda papers, who, body: papers.batch(
        who, atomic=True, op="create", document=whole(body)
    ),
    "batch create alone": lambda papers, who, body: papers.batch(
        who, atomic=False, op="create", document=whole(body)
    ),
    "batch put": lambda papers, who, body: papers.batch(
        who, atomic=False, op="replace", id="p2", upsert=True, document=whole(body)
    ),
}

CHANGES: dict[str, Send] = {
    "PUT": lambda papers, who, body: papers.send(who, "PUT", "/papers/p1", whole(body)),
    "PUT upsert": lambda papers, who, body: papers.send(who, "PUT", "/papers/p1?upsert=true", whole(body)),
    "merge patch": lambda papers, who, body: papers.patch(who, MERGE, body),
    "JSON Patch": lambda papers, who, body: papers.patch(who, STEPS, steps(body)),
    "operations": lambda papers, who, body: papers.patch(who, OPERATIONS, {"set": body}),
    "batch put": lambda papers, who, body: papers.batch(
        who, atomic=True, op="replace", id="p1", document=whole(body)
    ),
    "batch patch": lambda papers, who, body: papers.batch(who, atomic=True, op="patch", id="p1", patch=body),
    "batch patch alone": lambda papers, who, body: papers.batch(
        who, atomic=False, op="patch", id="p1", json_patch=steps(body)
    ),
}

BULK: dict[str, Send] = {
    "bulk merge patch": lambda papers, who, body: papers.patch(who, MERGE, body, BULK_PATH),
    "bulk operations": lambda papers, who, body: papers.patch(who, OPERATIONS, {"set": body}, BULK_PATH),
}
BULK_PATH = "/papers?filter[title]=Old&max_affected=5"

DELETIONS: dict[str, Callable[[PapersCollection, str], Any]] = {
    "DELETE": lambda papers, who: papers.send(who, "DELETE", "/papers/p1"),
    "bulk DELETE": lambda papers, who: papers.send(who, "DELETE", BULK_PATH),
    "batch delete": lambda papers, who: papers.batch(who, atomic=True, op="delete", id="p1"),
    "batch delete alone": lambda papers, who: papers.batch(who, atomic=False, op="delete", id="p1"),
}
