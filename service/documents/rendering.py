"""Documents and pages as the text that clients get; a document's is kept for as long as it stays the same."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from service.collections.registry import Collection
from service.documents import encoding, expanding, preconditions, visibility
from service.documents.access import Access
from service.documents.encoding import dump
from service.documents.expanding import WHOLE, References, ViewPlan
from service.documents.lists import ListRequest, Page
from service.kit.tasks import Breather
from service.schema import Schema
from service.storage.store import Stored, decoded

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
        """Return the texts of documents; between large ones, other requests go on."""
        if (known := self._known(collection, documents)) is not None:
            return known
        texts: list[bytes] = []
        breather = Breather()
        for stored in documents:
            await breather.breathe()
            texts.append(self.of(collection, stored).text)
        return texts

    def _known(self, collection: Collection, documents: Sequence[Stored]) -> list[bytes] | None:
        """Return the texts of documents if all of them are remembered, and young: those of hot lists are."""
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


async def page(
    renderings: Renderings, access: Access, references: References, asked: ListRequest, found: Page
) -> bytes:
    """Write a page of a list; raises what `expanding.views` raises."""
    collection, decision = access.collection, access.permit("list")
    if asked.shown.expansions or not decision.shows_all:
        views = await expanding.views(references, collection, decision, found.decoded(), asked.shown)
        return page_bytes(map(dump, views), found)
    # the fields are selected already
    return page_bytes(await renderings.texts(collection, found.stored), found)


async def document(
    renderings: Renderings, access: Access, references: References, shown: ViewPlan, stored: Stored
) -> tuple[bytes, str]:
    """Write one document that was read by the rule for `get`, and its entity tag.

    Raises what `expanding.views` raises.
    """
    collection, decision = access.collection, access.permit("get")
    if shown is WHOLE and decision.shows_all:
        rendered = renderings.of(collection, stored)
        return b'{"data":%b}' % rendered.text, rendered.tag
    members = decoded(stored)
    if shown is WHOLE and visibility.mask(decision, members).shows_all:
        return encoding.view_bytes(encoding.view(collection, members)), preconditions.tag(members)
    (view,) = await expanding.views(references, collection, decision, [members], shown)
    content = encoding.view_bytes(view)
    return content, preconditions.view_tag(members, content)


def page_bytes(texts: Iterable[bytes], page: Page) -> bytes:
    """Write a page of documents, whose JSON is given, and what is known of the list around them.

    `{"data": […], "page", "limit", "has_more"}` with the cursors `next` and, instead of `page`, `prev`; with
    `total` and `count` when it was counted.
    """
    return b'{"data":[%b],%b' % (b",".join(texts), dump(page_members(page))[1:])


def page_members(page: Page) -> dict[str, Any]:
    """Return what is known of the list around a page, by the names of the members beside `data`."""
    members: dict[str, Any] = {}
    if page.number is not None:
        members["page"] = page.number
    members |= {"limit": page.limit, "has_more": page.has_more}
    if page.following is not None:
        members["next"] = page.following
    if page.previous is not None:
        members["prev"] = page.previous
    if page.total is not None:
        members |= {"total": page.total.number, "count": page.total.count}
    return members
