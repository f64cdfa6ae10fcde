"""Changes of documents: live lists and documents as streams of server-sent events."""

import asyncio
from collections.abc import Mapping, Sequence

from litestar import Controller, Response
from litestar.di import NamedDependency

from service.changes import polling, requests
from service.changes.entries import Entry, WhyReset, reset
from service.changes.interests import Interest
from service.changes.mailbox import Mailbox
from service.changes.polling import DEFAULT_LIMIT, MAXIMUM_LIMIT, MAXIMUM_WAIT_S, Page, Poll
from service.changes.requests import Asked
from service.changes.streams import QUEUE_BYTES, QUEUE_ENTRIES, UNTRUSTED
from service.changes.subscriptions import Reset, Start, Subscription, first_of
from service.documents import ids
from service.documents.encoding import dump
from service.http.contract.operations import Described
from service.http.guards import FOR_API_KEYS, Connection, MayAct, access_of, principal
from service.http.pipeline.client_address import UNKNOWN, limited_address
from service.http.pipeline.concurrency_limit import hold_open
from service.http.pipeline.headers import text_of
from service.http.requests import AnyRequest, json_response, parameters_of
from service.http.routing import get
from service.http.services import Services
from service.http.streaming import EventStream, left, nothing
from service.kit.errors import ChangesExpired, ParameterInvalid, TokenOutdated, Violation
from service.runtime import deadline

LAST_EVENT_ID = b"last-event-id"


class ChangesController(Controller):
    """`/api/{collection}/changes`."""

    path = "/api/{collection:str}/changes"
    opt = {FOR_API_KEYS: True}

    @get("/", guards=[MayAct("watch")], operation=Described.PER_COLLECTION)
    async def poll_changes(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return what has changed since a cursor, or what is there without one: `since`, `limit`, `wait`."""
        asked = requests.of_list(access_of(request), parameters_of(request), POLLING)
        limit = _number(asked.given, "limit", 1, MAXIMUM_LIMIT, DEFAULT_LIMIT)
        wait_s = _number(asked.given, "wait", 0, MAXIMUM_WAIT_S, 0)
        try:
            poll = Poll(_start(services, asked, asked.since, "since"), limit, wait_s)
            page = await _polled(request, services, asked.interest, poll)
        except Reset as failure:
            raise ChangesExpired(_EXPIRED[failure.why], hint="Begin anew, without `since`.") from None
        return json_response(_page_bytes(page))


POLLING = ("limit", "wait")

_EXPIRED: Mapping[WhyReset, str] = {
    "history": "What changed since then is not known any more",
    "definition": "The collection has been defined anew since then",
    "rules": "The rules let you see other documents than then",
    "overflow": "More has changed than could be kept for you",
}


async def _polled(request: AnyRequest, services: Services, interest: Interest, poll: Poll) -> Page:
    """Return a page; one that is waited for is a stream, and holds no place among the requests.

    What ends a stream ends the wait: with a page where the client may come back as it is.
    """
    if not poll.wait_s:
        mailbox = Mailbox(QUEUE_ENTRIES, QUEUE_BYTES)
        return await polling.poll(Subscription(services.catching, interest, mailbox), poll, mailbox)
    async with services.streams.opened_for(principal(request), address_of(request)) as stream:
        subscription = stream.subscriptions[None] = Subscription(services.catching, interest, stream.mailbox)
        hold_open(request.scope["state"])
        client = asyncio.ensure_future(left(request.receive))
        client.add_done_callback(lambda _: stream.mailbox.close())
        try:
            with deadline.lifted():
                page = await polling.poll(subscription, poll, stream.mailbox)
        finally:
            client.cancel()
        if stream.bye in UNTRUSTED:
            raise TokenOutdated(stream.principal.session_id)
        return page


def _page_bytes(page: Page) -> bytes:
    told = b",".join(entry.as_json() for entry in page.entries)
    rest = dump({"next": page.following, "up_to_date": page.is_up_to_date})
    return b'{"data":[%b],%b' % (told, rest[1:])


def _number(given: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < LONGEST_NUMBER else -1
    if not least <= number <= most:
        detail = f"`{name}` goes from {least} to {most}"
        raise ParameterInvalid(detail, errors=[Violation(detail, "range", parameter=name)])
    return number


LONGEST_NUMBER = 10


async def watch_list(request: AnyRequest, services: Services) -> Response[bytes]:
    """Stream the documents of a list: those that there are, and what becomes of them."""
    asked = requests.of_list(access_of(request), parameters_of(request))
    return await _watch(request, services, asked)


async def watch_document(request: AnyRequest, services: Services, document_id: str) -> Response[bytes]:
    """Stream one document, and what becomes of it."""
    access = access_of(request)
    parsed = ids.parse(access.collection, document_id)
    return await _watch(request, services, requests.of_document(access, parsed, parameters_of(request)))


async def _watch(request: AnyRequest, services: Services, asked: Asked) -> Response[bytes]:
    stream = services.streams.open(principal(request), address_of(request))
    try:
        subscription = Subscription(services.catching, asked.interest, stream.mailbox)
        stream.subscriptions[None] = subscription
        try:
            start = _start(services, asked, *_cursor(request, asked))
        except Reset as failure:
            subscription.end()
            return EventStream(services.streams, stream, nothing(), _over(failure))
        beginning = subscription.begin(start)
        return EventStream(services.streams, stream, beginning, await first_of(beginning))
    except BaseException:
        services.streams.close(stream)
        raise


def _cursor(request: AnyRequest, asked: Asked) -> tuple[str | None, str]:
    """Return where a stream goes on, and what says so: what a browser has heard is newer than its address."""
    heard = text_of(request.scope, LAST_EVENT_ID)
    return (heard, "Last-Event-ID") if heard else (asked.since, "since")


def _start(services: Services, asked: Asked, cursor: str | None, name: str) -> Start:
    """Return where a client begins; raises ParameterInvalid for a cursor that is wrong, and Reset."""
    if cursor is None:
        return Start(has_snapshot=asked.has_snapshot)
    return Start(services.catching.place(asked.interest, cursor, name))


def _over(failure: Reset) -> Sequence[Entry]:
    return [reset(failure.why)]


def address_of(request: Connection) -> str:
    """Return the address by which a client's streams are counted."""
    return limited_address(request.scope["state"].get("client_address", UNKNOWN))
