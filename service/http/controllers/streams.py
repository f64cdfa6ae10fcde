"""Many subscriptions on one connection: a stream of server-sent events, or a WebSocket."""

from typing import Any

from litestar import Controller, Response, WebSocket, websocket
from litestar.di import NamedDependency

from service.changes import requests, several
from service.changes.cursors import JointPlace
from service.changes.entries import Entry, refused
from service.changes.requests import MEMBERS, SNAPSHOTS
from service.changes.several import MAXIMUM_KEY_CHARACTERS, MAXIMUM_SUBSCRIPTIONS, Faults, Joint
from service.http import idempotent, problems
from service.http.contract.operations import (
    IN_COLLECTION,
    Answer,
    Operation,
    json_body,
)
from service.http.contract.schemas import reference
from service.http.controllers.changes import LAST_EVENT_ID, address_of
from service.http.conversations import Conversation
from service.http.guards import FOR_API_KEYS, principal
from service.http.pipeline.headers import text_of
from service.http.pipeline.rate_limit import CHARGE
from service.http.requests import AnyRequest, json_of, only_parameters
from service.http.routing import post
from service.http.services import Services
from service.http.streaming import JointEventStream
from service.http.websockets import Socket
from service.kit.errors import NotLive, ParameterInvalid, TooManyFilters, TooManyStreams

Schema = dict[str, Any]
_PARTS: dict[str, Schema] = {
    "collection": {"type": "string", "description": "The collection's name."},
    "filter": {"type": "object", "description": "As in a query's body, but for `near`."},
    "fields": {
        "description": "As in a query's body.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    },
    "since": {"type": "string", "description": "A cursor of this subscription alone to go on from."},
    "snapshot": {"enum": [*SNAPSHOTS], "default": SNAPSHOTS[0]},
}
_SCHEMAS: dict[str, Schema] = {
    "Subscription": {
        "type": "object",
        "required": ["collection"],
        "additionalProperties": False,
        "properties": {name: _PARTS[name] for name in MEMBERS},
    },
    "Subscriptions": {
        "type": "object",
        "required": ["subscriptions"],
        "additionalProperties": False,
        "properties": {
            "subscriptions": {
                "type": "object",
                "description": "What is subscribed to, by names of the client's own.",
                "minProperties": 1,
                "maxProperties": MAXIMUM_SUBSCRIPTIONS,
                "propertyNames": {"minLength": 1, "maxLength": MAXIMUM_KEY_CHARACTERS},
                "additionalProperties": reference("Subscription"),
            },
            "since": {"type": "string", "description": "The cursor of all to go on from."},
        },
    },
}
_LAST_EVENT_ID: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The cursor of all to go on from, in the place of `since`.",
    "schema": {"type": "string"},
}
_EXAMPLE = {
    "subscriptions": {
        "hall": {"collection": "messages", "filter": {"room": "hall"}},
        "people": {"collection": "people", "fields": ["name"], "snapshot": "none"},
    }
}
_EXAMPLE_OF_EVENTS = (
    'event: put\ndata: {"key":"hall","why":"create","data":{"id":"7","room":"hall"}}\n\nid: AWjIuUVy\n\n'
)


class StreamsController(Controller):
    """`/api/streams`."""

    path = "/api/streams"
    opt = {FOR_API_KEYS: True}

    @post(
        "/",
        status_code=200,
        operation=Operation(
            id="openStream",
            tag="Changes",
            summary="Watch several collections, filters or documents on one stream",
            description=(
                "A stream of server-sent events. Each entry names its subscription in `key`; the `id:` line "
                "is one cursor for all of them."
            ),
            answers=(
                Answer(
                    200,
                    "What there is, and what becomes of it, until either side ends the stream.",
                    {"type": "string"},
                    example=_EXAMPLE_OF_EVENTS,
                    media_type="text/event-stream",
                ),
            ),
            failures=(*IN_COLLECTION, NotLive, TooManyFilters, TooManyStreams),
            parameters=(_LAST_EVENT_ID,),
            bodies=json_body(reference("Subscriptions"), _EXAMPLE),
            access="optional",
            schemas=_SCHEMAS,
        ),
    )
    @idempotent.takes_key
    async def open_stream(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Stream what several subscriptions are told, each entry with the name of its own."""
        only_parameters(request)
        asked = several.read(await json_of(request))
        await _charge(request, len(asked.subscriptions) - 1)
        stream = services.streams.open(principal(request), address_of(request))
        try:
            joint = Joint(services.catching, stream, lambda error: _refused(request, error))
            place = _place(request, services, asked.since)
            faults = Faults()
            for key, subscription in asked.subscriptions.items():
                with faults.of(key):
                    found = requests.of_subscription(services.registry, stream.principal, subscription)
                    joint.add(key, found, place)
            faults.raise_if_any()
            await joint.open(faults)
            faults.raise_if_any()
            return JointEventStream(services.streams, stream, joint)
        except BaseException:
            services.streams.close(stream)
            raise

    @websocket("/")
    async def talk(self, socket: WebSocket[Any, Any, Any], services: NamedDependency[Services]) -> None:
        """Tell what subscriptions are told that come and go while the connection is open."""
        if socket.scope["query_string"]:
            detail = "a WebSocket has no parameters"
            hint = (
                "Send a token in the header Authorization, as the subprotocol `sheaf.bearer.<token>` beside "
                "`sheaf`, or in a message: addresses are logged."
            )
            raise ParameterInvalid(detail, hint=hint)
        async with services.streams.opened_for(principal(socket), address_of(socket)) as stream:
            await Conversation(services, socket.scope, stream, Socket(socket.receive, socket.send)).run()


def _place(request: AnyRequest, services: Services, since: str | None) -> JointPlace | None:
    """Return where all go on: what the client has heard is newer than its body; raises ParameterInvalid."""
    heard = text_of(request.scope, LAST_EVENT_ID)
    if heard:
        return services.feeds.cursors.read_joint(heard, "Last-Event-ID")
    try:
        return None if since is None else services.feeds.cursors.read_joint(since, "since")
    except ParameterInvalid as failure:
        raise failure.by_pointers() from None


async def _charge(request: AnyRequest, more: int) -> None:
    """Count each subscription as a request, the first of which is this one; raises RateLimited."""
    charge = request.scope["state"].pop(CHARGE, None)
    if charge is not None and more:
        await charge(more)


def _refused(request: AnyRequest, error: Exception) -> Entry:
    problems.report(error, request.scope)
    failure = problems.translate(error).by_pointers()
    request_id = str(request.scope["state"].get("request_id", ""))
    return refused(failure.problem(instance=request.scope["path"], request_id=request_id))
