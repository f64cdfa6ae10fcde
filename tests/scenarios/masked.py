"""Notes of which everybody sees another part, and a second way to say who sees what: written out by hand."""

import copy
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pymongo
from bson import ObjectId

from tests.conftest import bearer, served
from tests.services import services_of

TEXT: dict[str, Any] = {"type": "string"}
PERSON: dict[str, Any] = {"type": "string", "x-collection": "people"}

NOTES: dict[str, Any] = {
    "name": "notes",
    "options": {"id_type": "string"},
    "schema": {
        "type": "object",
        "properties": {
            "title": TEXT,
            "level": {"type": "integer"},
            "part": TEXT,
            "vault": TEXT,
            "box": {
                "type": "object",
                "properties": {
                    "label": TEXT,
                    "code": TEXT,
                    "in": {"type": "object", "properties": {"x": TEXT}},
                },
            },
            "lines": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": TEXT, "price": TEXT}},
            },
            "friend": PERSON,
            "boss": PERSON,
        },
    },
    "rules": {
        "read": [
            {
                "role": "anyone",
                "where": {"level": {"lte": 2}},
                "fields": {"except": ["part", "vault", "box.code", "box.in.x", "lines.price", "boss"]},
            },
            {"role": "owner", "fields": {"except": ["vault"]}},
            {"role": "editor", "fields": ["title", "level", "part", "box", "lines.name"]},
        ]
    },
    "indexes": [{"text": ["title", "part"]}],
    "queries": {
        "all": {"pipeline": [{"sort": "id"}]},
        "equal": {
            "parameters": {"value": TEXT},
            "pipeline": [{"match": {"part": {"eq": {"param": "value"}}}}, {"sort": "id"}],
        },
        "nested": {
            "parameters": {"value": TEXT},
            "pipeline": [{"match": {"lines": {"elem": {"price": {"param": "value"}}}}}, {"sort": "id"}],
        },
        "groups": {"pipeline": [{"group": {"by": {"code": "box.code"}, "number": {"count": True}}}]},
        "first": {"pipeline": [{"sort": "vault"}, {"limit": 1}, {"project": ["title"]}]},
        "led": {
            "pipeline": [
                {"sort": "id"},
                {"lookup": {"field": "boss", "as": "by", "fields": ["id", "name", "phone"]}},
                {"lookup": {"field": "friend", "as": "with", "fields": ["id", "name", "phone"]}},
            ]
        },
    },
}

PEOPLE: dict[str, Any] = {
    "name": "people",
    "options": {"id_type": "string"},
    "schema": {
        "type": "object",
        "properties": {"name": TEXT, "phone": TEXT, "chief": PERSON, "peer": PERSON},
    },
    "rules": {
        "get": [
            {"role": "anyone", "where": {"name": {"ne": "Gone"}}, "fields": {"except": ["phone", "chief"]}},
            {"role": "owner"},
        ]
    },
}

OPEN = ("id", "_version")
SYSTEM = ("_created_at", "_updated_at", "_owner")
OF_STRANGERS = (*SYSTEM, "title", "level", "friend", "box.label", "box.in", "lines.name")
OF_OWNERS = (*OF_STRANGERS, "part", "box.code", "box.in.x", "lines.price", "boss")
OF_EDITORS = ("title", "level", "part", "box.label", "box.code", "box.in.x", "lines.name")
OF_PEOPLE = (*SYSTEM, "name", "peer")

LEAVES = ("title", "part", "vault", "box.label", "box.code", "box.in.x", "lines.name", "lines.price", "boss")
"""Fields of notes whose values are words of their own, so that they can be told in answers."""

CALLERS = ("nobody", "ann", "bob", "editor", "admin")


@dataclass
class MaskedService:
    """A running service with some notes, whose stored documents can be changed from below."""

    client: httpx.AsyncClient
    database: "pymongo.database.Database[dict[str, Any]]"
    people: dict[str, dict[str, str]]
    ids: dict[str, str]
    notes: list[dict[str, Any]] = field(default_factory=list)
    persons: list[dict[str, Any]] = field(default_factory=list)

    def store(self, notes: list[dict[str, Any]], persons: list[dict[str, Any]]) -> None:
        """Put documents in the place of those that are there."""
        for name, documents in (("notes", notes), ("people", persons)):
            self.database[name].delete_many({})
            self.database[name].insert_many(copy.deepcopy(documents))

    def is_of(self, who: str, document: dict[str, Any]) -> bool:
        """Return whether somebody who is signed in owns a document."""
        return who in self.ids and document["_owner"] == self.ids[who]

    def sees(self, who: str, note: dict[str, Any]) -> frozenset[str] | None:
        """Return the paths of a note that somebody sees, None when they do not see the note."""
        if who == "admin":
            return frozenset({*OPEN, *OF_OWNERS, "vault"})
        seen: list[tuple[str, ...]] = []
        if note["level"] <= 2:
            seen.append(OF_STRANGERS)
        if self.is_of(who, note):
            seen.append(OF_OWNERS)
        if who == "editor":
            seen.append(OF_EDITORS)
        return frozenset(OPEN).union(*seen) if seen else None

    def sees_of_person(self, who: str, person: dict[str, Any]) -> frozenset[str] | None:
        """Return the paths of a person that somebody sees, None when they do not see the person."""
        if who == "admin" or self.is_of(who, person):
            return frozenset({*OPEN, *OF_PEOPLE, "phone", "chief"})
        return None if person["name"] == "Gone" else frozenset({*OPEN, *OF_PEOPLE})


def view(document: dict[str, Any], paths: frozenset[str]) -> dict[str, Any]:
    """Return what somebody who sees some paths is given of a document as it is stored."""
    named = {"id" if name == "_id" else name: value for name, value in document.items()}
    seen: dict[str, Any] = _part(named, paths, "")
    return seen


def _part(value: Any, paths: frozenset[str], before: str) -> Any:
    if isinstance(value, list):
        return [_part(each, paths, before) for each in value]
    if isinstance(value, dict):
        return {
            name: _part(part, paths, f"{before}{name}.")
            for name, part in value.items()
            if any(f"{path}.".startswith(f"{before}{name}.") for path in paths)
        }
    return value.strftime("%Y-%m-%dT%H:%M:%S.000Z") if isinstance(value, datetime) else value


def changed(document: dict[str, Any], paths: frozenset[str] | None, *, is_removal: bool) -> dict[str, Any]:
    """Return a document in which all is other, or gone, that somebody does not see who sees these paths.

    What decides who sees it stays as it is.
    """
    seen = frozenset({"id", "_version", "_owner", "level", "name", *(paths or ())})
    return dict(_changed(document.items(), seen, "", is_removal=is_removal))


def _changed(
    members: Any, seen: frozenset[str], before: str, *, is_removal: bool
) -> Iterator[tuple[str, Any]]:
    for name, value in members:
        path = before + name.replace("_id", "id")
        if isinstance(value, dict):
            yield name, dict(_changed(value.items(), seen, f"{path}.", is_removal=is_removal))
        elif isinstance(value, list):
            yield (
                name,
                [dict(_changed(each.items(), seen, f"{path}.", is_removal=is_removal)) for each in value],
            )
        elif path in seen:
            yield name, value
        elif not is_removal:
            yield name, _other(value)


def _other(value: Any) -> Any:
    """Return another value of the same kind: of a reference, another document's."""
    if isinstance(value, datetime):
        return value.replace(year=2001)
    persons = ("p1", "p2", "p3")
    return persons[(persons.index(value) + 1) % 3] if value in persons else f"{value} otherwise"


@asynccontextmanager
async def open_masked_service(mongodb_uri: str) -> AsyncIterator[MaskedService]:
    """Start a service with eight notes and three people."""
    async with served(mongodb_uri) as service:
        ids = {name: str(ObjectId()) for name in CALLERS if name != "nobody"}
        roles = {"editor": ["editor"], "admin": ["admin"]}
        tokens = services_of(service.app).tokens
        people = {name: bearer(tokens, each, *roles.get(name, [])) for name, each in ids.items()}
        masked_service = MaskedService(service.client, service.database, {"nobody": {}, **people}, ids)
        for definition in (PEOPLE, NOTES):
            answer = await service.client.post("/api/collections", json=definition, headers=people["admin"])
            assert answer.status_code == 201, answer.text
        masked_service.notes = [_note(number, ids) for number in range(8)]
        masked_service.persons = [_person(number, ids) for number in (1, 2, 3)]
        masked_service.store(masked_service.notes, masked_service.persons)
        yield masked_service


def _system(number: int, owner: str | None) -> dict[str, Any]:
    moment = datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC)
    return {"_version": 3, "_created_at": moment, "_updated_at": moment, "_owner": owner}


def _note(number: int, ids: dict[str, str]) -> dict[str, Any]:
    return {
        "_id": f"n{number}",
        "title": f"title {number % 3}",
        "level": 1 + number % 4,
        "part": f"part-{(5 * number) % 8}",
        "vault": f"vault-{(3 * number) % 8}",
        "box": {
            "label": f"label-{number % 2}",
            "code": f"code-{(7 * number) % 4}",
            "in": {"x": f"x-{number}"},
        },
        "lines": [
            {"name": f"name-{number}", "price": f"price-{9 - number}"},
            {"name": "name-last", "price": f"price-{number % 2}"},
        ],
        "friend": f"p{1 + number % 3}",
        "boss": f"p{1 + (number + 1) % 3}",
        **_system(number, (ids["ann"], ids["bob"], "somebody", None)[(number // 2) % 4]),
    }


def _person(number: int, ids: dict[str, str]) -> dict[str, Any]:
    return {
        "_id": f"p{number}",
        "name": ("Ada", "Ben", "Gone")[number - 1],
        "phone": f"phone-{number}",
        "chief": "p1",
        "peer": f"p{1 + number % 3}",
        **_system(number, ids["ann"] if number == 2 else None),
    }
