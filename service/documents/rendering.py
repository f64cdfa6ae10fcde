"""Documents as the text that clients get, written once for as long as they stay the same."""

from collections.abc import Sequence
from typing import NamedTuple

from service.collections.registry import Collection
from service.documents import encoding, preconditions
from service.documents.reading import Stored, decoded
from service.kit.tasks import Breather
from service.schema import Schema

MAXIMUM_BYTES = 12 * 1024 * 1024
"""Of documents that are remembered, and of their texts, with what keeping them takes."""

MAXIMUM_DOCUMENT_BYTES = 16 * 1024
"""A document of more is not remembered, or a few would take the place of very many."""

OVERHEAD_BYTES = 400
"""What a remembered document takes besides its own bytes and those of its text."""


class Rendered(NamedTuple):
    """A document as JSON, and its entity tag; `schema` is what says how it is written."""

    schema: Schema
    text: bytes
    tag: str


class Renderings:
    """What documents were rendered to, by what they are in BSON.

    A document that has changed has other bytes, so nothing remembered is ever out of date. The memory is two
    generations: what is asked for is in the younger one, and the elder one is forgotten when that is full.
    """

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._young: dict[bytes, Rendered] = {}
        self._old: dict[bytes, Rendered] = {}
        self._generation_bytes = maximum_bytes // 2
        self._size_bytes = 0

    def of(self, collection: Collection, stored: Stored) -> Rendered:
        """Render a stored document as those see it to whom the rules show all of it; raises InvalidBSON."""
        if isinstance(stored, dict):
            return _render(collection, stored)
        schema = collection.description.schema
        known = self._young.get(stored)
        if known is not None and known.schema is schema:
            return known
        known = self._old.get(stored)
        if known is None or known.schema is not schema:
            known = _render(collection, decoded(stored))
        self._remember(stored, known)
        return known

    async def texts(self, collection: Collection, documents: Sequence[Stored]) -> list[bytes]:
        """Give the texts of documents; between large ones, other requests go on."""
        if (known := self._known(collection, documents)) is not None:
            return known
        texts: list[bytes] = []
        breather = Breather()
        for stored in documents:
            await breather.breathe()
            texts.append(self.of(collection, stored).text)
        return texts

    def _known(self, collection: Collection, documents: Sequence[Stored]) -> list[bytes] | None:
        """Give the texts of documents if all of them are remembered, and young: those of hot lists are."""
        if documents and isinstance(documents[0], dict):  # then all of them are
            return None
        schema, young = collection.description.schema, self._young
        texts: list[bytes] = []
        for stored in documents:
            known = young.get(stored)  # type: ignore[arg-type]  # it is no dict
            if known is None or known.schema is not schema:
                return None
            texts.append(known.text)
        return texts

    def _remember(self, stored: bytes, rendered: Rendered) -> None:
        size_bytes = len(stored) + len(rendered.text)
        if size_bytes > MAXIMUM_DOCUMENT_BYTES:
            return
        self._size_bytes += size_bytes + OVERHEAD_BYTES
        if self._size_bytes > self._generation_bytes:
            self._young, self._old, self._size_bytes = {}, self._young, size_bytes + OVERHEAD_BYTES
        self._young[stored] = rendered


def _render(collection: Collection, document: dict[str, object]) -> Rendered:
    # a copy, for what orjson gives keeps the room that it was written in: 4 KB at the least, up to tenfold
    text = bytes(memoryview(encoding.dump(encoding.view(collection, document))))
    return Rendered(collection.description.schema, text, preconditions.tag(document))
