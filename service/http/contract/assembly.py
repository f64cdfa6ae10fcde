"""The contract: one OpenAPI 3.1 document of all that a caller may do, and those that are ready."""

import asyncio
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

import orjson

from service.access.principals import Principal
from service.access.rules import VERBS, Verb
from service.collections.registry import Collection
from service.documents.access import Access
from service.http.contract import components, documents
from service.http.contract.collection import Audience, DescribedCollection, audience_of
from service.http.contract.filters import SHARED_PREFIX
from service.http.contract.operations import BEARER, Endpoint
from service.kit.lru import LruTable

Schema = dict[str, Any]

VERSION = "1.0.0"
"""The version of the API's contract, which says nothing of the program that keeps it."""

_INTRODUCTION = """\
Documents in collections. This page has what the caller may use: sign in to see more.

Every `GET` is there as `HEAD` too. A parameter that an operation does not have is refused, with a \
suggestion. Every failure is `application/problem+json` with a stable `code`."""

_TAGS = {
    "API keys": "For programs that act for a user.",
    "Accounts": "Making an account, signing in, one's own account.",
    "Administration": "Users and the audit log: for administrators.",
    "Batch": "Many operations in one request.",
    "Changes": "What becomes of documents, as it happens.",
    "Definitions": "What each collection is: for administrators.",
    "Health": "Whether the service works.",
    "Sessions": "Staying signed in, and signing out.",
    "Contract": "This contract.",
}


@dataclass(frozen=True, slots=True)
class Visible:
    """A collection, the verbs that a caller may use there on some documents at least, and what it sees."""

    collection: Collection
    verbs: frozenset[Verb]
    audience: Audience

    @property
    def key(self) -> tuple[str, str, int, frozenset[Verb], Audience]:
        """Return what tells it from every other: two of the same key are described alike."""
        return self.collection.name, self.collection.uid, self.collection.version, self.verbs, self.audience


def visible(collections: Iterable[Collection], principal: Principal) -> tuple[Visible, ...]:
    """Return the collections in which a caller may do something, with what it may do."""
    found = (_visible(collection, principal) for collection in collections)
    return tuple(each for each in found if each.verbs - {"watch"})


def _visible(collection: Collection, principal: Principal) -> Visible:
    access = Access(collection, principal)
    decisions = {verb: access.decide(verb) for verb in VERBS}
    verbs = frozenset(verb for verb, decision in decisions.items() if decision.allowed)
    return Visible(collection, verbs, audience_of(decisions))


@dataclass(frozen=True, slots=True)
class Fragment:
    """What the contract says of one collection, written: the members of its `paths` and its schemas.

    `shared` are schemas that several collections may bring, alike.
    """

    tag: Schema
    paths: bytes
    schemas: bytes
    shared: dict[str, Any]

    @property
    def size_bytes(self) -> int:
        """Return how much memory it takes, roughly."""
        return len(self.paths) + len(self.schemas)


def fragment(seen: Visible) -> Fragment:
    """Write what the contract says of one collection."""
    name = seen.collection.name
    described = DescribedCollection(seen.collection, seen.audience)
    paths = _members(_paths(documents.endpoints_of(described, seen.verbs)))  # fills `described.schemas`
    shared = {each: schema for each, schema in described.schemas.items() if each.startswith(SHARED_PREFIX)}
    own = {each: schema for each, schema in described.schemas.items() if each not in shared}
    return Fragment(
        tag={"name": name, "description": f"Documents of the collection `{name}`."},
        paths=paths,
        schemas=_members(own),
        shared=shared,
    )


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the contract says whatever collections there are: the members of its `paths`, and schemas."""

    paths: bytes
    schemas: dict[str, Schema]

    @classmethod
    def of(cls, endpoints: Sequence[Endpoint]) -> "Fixed":
        """Write what the contract says of the service's own endpoints."""
        schemas: dict[str, Schema] = {**components.schemas()}
        for endpoint in endpoints:
            for name, schema in endpoint.operation.named_schemas().items():
                if schemas.setdefault(name, schema) != schema:
                    raise ValueError(f"Two schemas of the contract are called {name}")
        return cls(_members(_paths(endpoints)), schemas)


def assemble(fixed: Fixed, fragments: Sequence[Fragment]) -> bytes:
    """Put the contract together, as JSON: an OpenAPI 3.1 document."""
    shared = dict(fixed.schemas)
    for each in fragments:
        shared |= each.shared
    tags = [{"name": name, "description": description} for name, description in _TAGS.items()]
    beginning = {
        "openapi": "3.1.0",
        "info": {"title": "Sheaf", "version": VERSION, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [*tags, *(each.tag for each in fragments)],
    }
    others = {
        "parameters": components.parameters(),
        "headers": components.headers(),
        "responses": components.responses(),
        "securitySchemes": {BEARER: _SCHEME},
    }
    paths = _joined([fixed.paths, *(each.paths for each in fragments)])
    schemas = _joined([_members(shared), *(each.schemas for each in fragments)])
    return b'{%b,"paths":{%b},"components":{"schemas":{%b},%b}}' % (
        _members(beginning),
        paths,
        schemas,
        _members(others),
    )


_SCHEME: Schema = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The `access_token` that `POST /api/auth/login` gives, or an API key.",
}


def _paths(endpoints: Iterable[Endpoint]) -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    for method, path, operation in endpoints:
        paths.setdefault(path, {})[method] = operation.to_openapi(method)
    return paths


def _members(value: dict[str, Any]) -> bytes:
    """Write an object without its braces, so that its members can stand beside others."""
    return orjson.dumps(value)[1:-1]


def _joined(parts: list[bytes]) -> bytes:
    return b",".join(part for part in parts if part)


MAXIMUM_CONTRACTS_BYTES = 32 * 1024 * 1024
MAXIMUM_FRAGMENTS_BYTES = 32 * 1024 * 1024
MAXIMUM_AUDIENCES = 256
MAXIMUM_FRAGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract as JSON, and the strong entity tag of its content."""

    content: bytes
    entity_tag: str


class Contracts:
    """The contracts of one worker, by what the callers may see.

    `endpoints` are the service's own. They are described when somebody asks first: that takes as long as all
    else that a worker does before it listens.
    """

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._endpoints = endpoints
        self._by_caller: LruTable[Hashable, tuple[Hashable, ...]] = LruTable(MAXIMUM_AUDIENCES)
        self._by_view: LruTable[Hashable, Contract] = LruTable(
            MAXIMUM_AUDIENCES,
            maximum_bytes=MAXIMUM_CONTRACTS_BYTES,
            size_of=lambda contract: len(contract.content),
        )
        self._fragments: LruTable[Hashable, Fragment] = LruTable(
            MAXIMUM_FRAGMENTS,
            maximum_bytes=MAXIMUM_FRAGMENTS_BYTES,
            size_of=lambda fragment: fragment.size_bytes,
        )
        self._building = asyncio.Lock()

    async def get(self, collections: list[Collection], principal: Principal) -> Contract:
        """Return the contract for a caller, with these collections as they are now."""
        state = tuple((each.name, each.uid, each.version) for each in collections)
        caller = (replace(principal, session_id=None), state)  # all that rules may ask
        seen_before = self._by_caller.get(caller)
        if seen_before is not None and (known := self._by_view.get(seen_before)) is not None:
            return known
        async with self._building:  # whoever comes while it is built finds it built
            seen = visible(collections, principal)
            key = tuple(each.key for each in seen)
            contract = self._by_view.get(key)
            if contract is None:
                contract = await asyncio.to_thread(self._built, seen)
                self._by_view.put(key, contract)
            self._by_caller.put(caller, key)
        return contract

    @cached_property
    def _fixed(self) -> Fixed:
        return Fixed.of(self._endpoints)

    def _built(self, seen: tuple[Visible, ...]) -> Contract:
        fragments = []
        for each in seen:
            written = self._fragments.get(each.key)
            if written is None:
                written = fragment(each)
                self._fragments.put(each.key, written)
            fragments.append(written)
        content = assemble(self._fixed, fragments)
        return Contract(content, f'"{blake2b(content, digest_size=16).hexdigest()}"')
