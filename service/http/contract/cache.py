"""Contracts kept ready: each is built once, and again only in those parts that a change concerns."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from service.access.principals import Principal
from service.collections.registry import Collection
from service.http.contract.contract import Fixed, Fragment, Visible, assemble, fragment, visible
from service.http.contract.operations import Operation

MAXIMUM_CONTRACTS_BYTES = 32 * 1024 * 1024
MAXIMUM_FRAGMENTS_BYTES = 32 * 1024 * 1024
MAXIMUM_AUDIENCES = 256
MAXIMUM_FRAGMENTS = 10_000


class Sized(Protocol):
    """What takes memory that is known."""

    @property
    def size_bytes(self) -> int:
        """Tell how much."""


Kept = TypeVar("Kept", bound=Sized)


class Recent(Generic[Kept]):
    """What was asked for most recently, as many as fit into `maximum_bytes`, and one at least."""

    def __init__(self, maximum_bytes: int, maximum: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._maximum = maximum
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._size_bytes = 0

    def get(self, key: Hashable) -> Kept | None:
        """Give what is kept under a key, which is then the most recent."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, value: Kept) -> None:
        """Keep a value, and forget the oldest ones for which there is no room any more."""
        before = self._kept.pop(key, None)
        self._size_bytes -= 0 if before is None else before.size_bytes
        self._kept[key] = value
        self._size_bytes += value.size_bytes
        while len(self._kept) > 1 and (
            self._size_bytes > self._maximum_bytes or len(self._kept) > self._maximum
        ):
            _, oldest = self._kept.popitem(last=False)
            self._size_bytes -= oldest.size_bytes


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract as JSON, and the strong entity tag of its content."""

    content: bytes
    entity_tag: str

    @property
    def size_bytes(self) -> int:
        """Tell how much memory it takes."""
        return len(self.content)


@dataclass(frozen=True, slots=True)
class _View:
    """What some callers may see, which tells their contract from others."""

    key: tuple[Hashable, ...]
    size_bytes: int = 0


class Contracts:
    """The contracts of one worker, by what the callers may see.

    `operations` are those of the service's own endpoints.
    """

    def __init__(self, operations: Sequence[Operation] = ()) -> None:
        self._fixed = Fixed.of(operations)
        self._by_audience: Recent[_View] = Recent(0, MAXIMUM_AUDIENCES)
        self._by_view: Recent[Contract] = Recent(MAXIMUM_CONTRACTS_BYTES, MAXIMUM_AUDIENCES)
        self._fragments: Recent[Fragment] = Recent(MAXIMUM_FRAGMENTS_BYTES, MAXIMUM_FRAGMENTS)
        self._turn = asyncio.Lock()

    async def get(self, collections: list[Collection], principal: Principal) -> Contract:
        """Give the contract for a caller, with these collections as they are now."""
        state = tuple((each.name, each.uid, each.version) for each in collections)
        audience = (replace(principal, session_id=None), state)  # all that rules may ask
        view = self._by_audience.get(audience)
        if view is not None and (known := self._by_view.get(view.key)) is not None:
            return known
        async with self._turn:  # whoever comes while it is built finds it built
            seen = visible(collections, principal)
            key = tuple(each.key for each in seen)
            contract = self._by_view.get(key)
            if contract is None:
                contract = await asyncio.to_thread(self._built, seen)
                self._by_view.put(key, contract)
            self._by_audience.put(audience, _View(key))
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
