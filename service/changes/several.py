"""Several subscriptions on one stream: read together, begun one after the other, continued by one cursor."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, NamedTuple, cast

from bson import Timestamp

from service.changes.cursors import JointPlace
from service.changes.entries import Entry
from service.changes.mailbox import Waiting
from service.changes.requests import Asked
from service.changes.streams import Stream
from service.changes.subscriptions import Catching, Reset, Start, Subscription, first_of
from service.kit.errors import Failure, ParameterInvalid
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations

MAXIMUM_SUBSCRIPTIONS = 100
"""Subscriptions of one stream."""

MAXIMUM_KEY_CHARACTERS = 64
"""Of a client's name for a subscription."""

OPENING_BYTES = 4 * 1024 * 1024
"""Entries that are held until a stream begins, so that what keeps a subscription from it is its answer."""

MEMBERS = ("subscriptions", "since")

Refusal = Callable[[Exception], Entry]
"""Makes the entry by which a client is told of an error."""


class Several(NamedTuple):
    """What a client asks of one stream: subscriptions by its names for them, and from where all go on."""

    subscriptions: Mapping[str, object]
    since: str | None


def read(body: object) -> Several:
    """Read a body, its subscriptions not yet; raises ParameterInvalid with every violation."""
    violations = Violations()
    if not violations.members(body, MEMBERS, "", "a request for a stream"):
        violations.raise_if_any(ParameterInvalid, "parts of the request are invalid")
    given = cast("Mapping[str, Any]", body)
    since, subscriptions = given.get("since"), given.get("subscriptions")
    if "since" in given and not isinstance(since, str):
        violations.add("`since` is a cursor", "type", "/since")
    if not isinstance(subscriptions, dict):
        code = "type" if "subscriptions" in given else "required"
        violations.add("`subscriptions` is an object of subscriptions by their names", code, "/subscriptions")
    elif not 0 < len(subscriptions) <= MAXIMUM_SUBSCRIPTIONS:
        detail = f"a stream has 1 to {MAXIMUM_SUBSCRIPTIONS} subscriptions"
        violations.add(detail, "length", "/subscriptions")
    for key in subscriptions if isinstance(subscriptions, dict) else ():
        check_key(violations, key, f"/subscriptions{escape_pointer(key)}")
    violations.raise_if_any(ParameterInvalid, "parts of the request are invalid")
    return Several(cast("Mapping[str, object]", subscriptions), since)


def check_key(violations: Violations, key: str, pointer: str) -> None:
    """Note it when a text cannot be a client's name for a subscription."""
    if not 0 < len(key) <= MAXIMUM_KEY_CHARACTERS:
        detail = f"a subscription's name has 1 to {MAXIMUM_KEY_CHARACTERS} characters"
        violations.add(detail, "length", pointer)


class Faults:
    """What keeps subscriptions of one request from beginning, all of it reported at once."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Note the failure of a subscription."""
        try:
            yield
        except Failure as failure:
            pointer = f"/subscriptions{escape_pointer(key)}"
            self._failures.append(failure.by_pointers().below(pointer))

    def raise_if_any(self) -> None:
        """Raise the first failure, with the violations of all."""
        if not self._failures:
            return
        first, *others = self._failures
        if others:
            first.detail = f"{1 + len(others)} of the subscriptions cannot begin"
            first.hint = None
            first.errors = tuple(error for failure in self._failures for error in failure.errors)
        raise first


class Joint:
    """The subscriptions of one stream, which is continued by one cursor.

    `beginning` yields what is told first. A subscription that cannot begin any more once the stream has
    begun is `refused`, and leaves the others open.
    """

    def __init__(self, catching: Catching, stream: Stream, refusal: Refusal) -> None:
        self._catching = catching
        self._stream = stream
        self._refusal = refusal
        self._starts: dict[Subscription, tuple[Start, bytes]] = {}
        self._opened: dict[Subscription, tuple[AsyncIterator[Sequence[Entry]], Sequence[Entry]]] = {}
        self._told: tuple[Timestamp, bytes] | None = None

    def add(self, key: str, asked: Asked, place: JointPlace | None) -> None:
        """Add a subscription, which goes on at a place of all, else where it asks itself; raises Failure."""
        subscription = Subscription(self._catching, asked.interest, self._stream.mailbox, key)
        cursors = self._catching.feeds.cursors
        mark = cursors.mark(key, asked.interest)
        self._stream.subscriptions[key] = subscription
        state = "new" if place is None else place.compared_with(mark)
        start = Start(has_snapshot=asked.has_snapshot)
        try:
            if place is not None and state == "same":
                start = Start(cursors.place_at(asked.interest, place.time))
            elif state == "other":
                subscription.reset("definition")
            elif asked.since is not None:
                start = Start(self._catching.place(asked.interest, asked.since, "since"))
        except Reset as failure:
            subscription.reset(failure.why)
        self._starts[subscription] = (start, mark)

    async def open(self, faults: Faults) -> None:
        """Begin the subscriptions, as far as what they tell first may be held; notes what keeps them."""
        held_bytes = 0
        for subscription, (start, _) in self._starts.items():
            if held_bytes > OPENING_BYTES:
                return
            with faults.of(subscription.key or ""):
                beginning = subscription.begin(start)
                first = () if subscription.has_ended else await first_of(beginning)
                self._opened[subscription] = beginning, first
                held_bytes += sum(entry.size_bytes for entry in first)

    async def beginning(self) -> AsyncIterator[Sequence[Waiting]]:
        """Yield what is to be told before the changes to come."""
        for subscription, (start, _) in self._starts.items():
            opened, first = self._opened.pop(subscription, (subscription.begin(start), ()))
            yield [Waiting(subscription, entry) for entry in first]
            async with aclosing(cast("Any", begun(subscription, opened, self._refusal))) as beginning:
                async for told in beginning:
                    yield [Waiting(subscription, entry) for entry in told]

    @property
    def cursor(self) -> str | None:
        """The place of all that was told, when nothing waits; None while some begin, or where it is known."""
        reached: list[Timestamp] = []
        marks = b""
        for subscription, (_, mark) in self._starts.items():
            if subscription.has_ended:  # without its mark it begins anew
                continue
            position = subscription.reached
            if position is None:
                return None
            reached.append(position)
            marks += mark
        if not reached or self._told == (min(reached), marks):
            return None
        self._told = min(reached), marks
        return self._catching.feeds.cursors.write_joint(*self._told)


async def begun(
    subscription: Subscription, beginning: AsyncIterator[Sequence[Entry]], refusal: Refusal
) -> AsyncIterator[Sequence[Entry]]:
    """Yield what a subscription is told first; an error ends it alone, and is told."""
    try:
        async with aclosing(cast("Any", beginning)) as told:
            while not subscription.has_ended:
                async with subscription.catching.readers:  # not while the client takes what was read
                    entries = await anext(told, None)
                if entries is None:
                    return
                yield entries
    except Exception as error:  # noqa: BLE001  # whatever it is: the others go on
        subscription.end()
        yield [refusal(error)]
