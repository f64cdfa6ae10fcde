"""Contracts kept ready: each is built once, and again only in those parts that a change concerns."""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from service.access.principals import Principal
from service.collections.registry import Collection
from service.http.contract.assembly import Fixed, Fragment, Visible, assemble, fragment, visible
from service.http.contract.operations import Endpoint
from service.kit.lru import LruTable

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

    `endpoints` are the service's own.
    """

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._fixed = Fixed.of(endpoints)
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
