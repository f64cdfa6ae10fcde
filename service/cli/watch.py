"""`sheaf watch`: what changes in a collection of a running service, line by line."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import uniform
from time import sleep
from typing import Any, Final

import click
import httpx
import orjson

from service.kit.errors import StartupFailure

CONNECT_S: Final = 10.0
QUIET_S: Final = 45.0
"""How long nothing may come before a stream is taken for dead: the service pings every 15 seconds."""

SHORTEST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
TO_BE_REPEATED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

COLOURS: Final[Mapping[str, str]] = {"put": "green", "gone": "red", "reset": "yellow", "ready": "cyan"}

Entry = dict[str, Any]


@click.command
@click.argument("collection")
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
@click.option("--fields", help="The fields to show, with commas between them.")
@click.option("--no-snapshot", is_flag=True, help="Show only what changes from now on.")
@click.option("--since", help="Go on from a cursor.")
@click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    envvar="SHEAF_URL",
    help="Where the service is (SHEAF_URL).",
)
@click.option(
    "--token",
    envvar="SHEAF_TOKEN",
    help="Access token or API key (SHEAF_TOKEN, which does not show in lists of processes).",
)
def command(
    collection: str,
    filters: tuple[str, ...],
    *,
    fields: str | None,
    no_snapshot: bool,
    since: str | None,
    url: str,
    token: str | None,
) -> None:
    """Show what is in COLLECTION, and what becomes of it, until Ctrl-C.

    FILTER is as in the address of a list, `room=hall` or `n[gte]=3`, or JSON: '{"room": "hall"}'.

    Each line is an entry as JSON; on a terminal, why, the id, and the document. A connection that breaks is
    made again, and nothing is lost.
    """
    parameters = dict(map(_parameter, filters))
    if fields is not None:
        parameters["fields"] = fields
    if no_snapshot:
        parameters["snapshot"] = "none"
    headers = {"Accept": "text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    timeout = httpx.Timeout(QUIET_S, connect=CONNECT_S)
    address = f"{url.rstrip('/')}/api/{collection}"
    show = _show_line if sys.stdout.isatty() else _show_json
    logging.getLogger("httpx").setLevel(logging.WARNING)  # what is printed is for who reads entries
    with httpx.Client(headers=headers, timeout=timeout) as client:
        try:
            Watch(client, address, parameters, since, show).run()
        except BrokenPipeError:  # whoever read has seen enough
            sys.stderr.close()


def _parameter(text: str) -> tuple[str, str]:
    """Return a filter as a parameter of a list's address.

    >>> _parameter("n[gte]=3")
    ('filter[n][gte]', '3')
    >>> _parameter('{"n": 3}')
    ('filter', '{"n": 3}')
    """
    if text.startswith("{"):
        return "filter", text
    name, is_pair, value = text.partition("=")
    if not is_pair:
        raise click.BadParameter(f"`{text}` is no filter; write `field=value`, or JSON.")
    field, bracket, rest = name.partition("[")
    return f"filter[{field}]{bracket}{rest}", value


class Watch:
    """Follows one live list, on one connection after the other."""

    def __init__(
        self,
        client: httpx.Client,
        address: str,
        parameters: Mapping[str, str],
        cursor: str | None,
        show: Callable[[Entry], None],
    ) -> None:
        self._client = client
        self._address = address
        self._parameters = parameters
        self._cursor = cursor
        self._show = show
        self._is_resumed = cursor is not None
        self._has_begun = False
        self._failures = 0

    def run(self) -> None:
        """Show entries until it is interrupted; raises StartupFailure when that is of no use."""
        while True:
            try:
                pause_s = self._follow()
            except httpx.TransportError as failure:
                if not self._has_begun:
                    raise StartupFailure(f"There is no answer from {self._address}: {failure}.") from failure
                pause_s = None
            if pause_s is None:
                longest_s = min(LONGEST_PAUSE_S, SHORTEST_PAUSE_S * 2**self._failures)
                pause_s = uniform(longest_s / 2, longest_s)  # noqa: S311  # no secret
                self._failures += 1
            sleep(pause_s)

    def _follow(self) -> float | None:
        """Read a stream to its end; return the seconds until the next, if they are known."""
        place = {} if self._cursor is None else {"since": self._cursor}
        with self._client.stream("GET", self._address, params={**self._parameters, **place}) as answer:
            if answer.status_code != httpx.codes.OK:
                return self._refused(answer)
            self._has_begun = True
            for entry in events(answer.iter_bytes()):
                if "cursor" in entry:
                    self._cursor = entry["cursor"] or None
                match entry["event"]:
                    case "bye":
                        return float(entry["retry_ms"]) / 1000
                    case "reset":
                        self._cursor = None
                        self._show(entry)
                        is_resumed, self._is_resumed = self._is_resumed, False
                        return 0.0 if is_resumed else None
                    case "ready":
                        self._failures = 0
                        if not self._is_resumed:
                            self._show(entry)
                        self._is_resumed = True
                    case "put" | "gone":
                        self._show(entry)
        return None

    def _refused(self, answer: httpx.Response) -> float | None:
        """Return the seconds after which to ask again, if they are known; raises StartupFailure."""
        problem = _problem(answer.read())
        if answer.status_code in TO_BE_REPEATED:
            after = answer.headers.get("retry-after", "")
            return float(after) if after.isdecimal() else None
        said = _sentence(problem) or f"{self._address} answers {answer.status_code}"
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            said += ": set SHEAF_TOKEN to an access token or API key"
        raise StartupFailure(said)


def _problem(content: bytes) -> Entry:
    try:
        problem = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _sentence(problem: Entry) -> str:
    """Return what a refusal says, in one line."""
    errors = [error["detail"] for error in problem.get("errors", [])]
    said = "; ".join(errors) or problem.get("detail") or problem.get("title", "")
    hint = problem.get("hint")
    return f"{said}. {hint}" if hint else said


def events(pieces: Iterable[bytes]) -> Iterator[Entry]:
    r"""Yield the entries of a stream of server-sent events; one that has no name only has a cursor.

    >>> list(events([b"id: x\nevent: gone\nda", b'ta: {"id":1}\n\n: ping\n\nid: y\n\n']))
    [{'event': 'gone', 'cursor': 'x', 'id': 1}, {'event': '', 'cursor': 'y'}]
    """
    rest = b""
    entry: Entry = {"event": ""}
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            value = value.removeprefix(b" ")
            if name == b"event":
                entry["event"] = value.decode()
            elif name == b"data":
                entry |= orjson.loads(value)
            elif name == b"id":
                entry["cursor"] = value.decode()
            elif not name and not value and (entry["event"] or "cursor" in entry):
                yield entry
                entry = {"event": ""}


def _show_json(entry: Entry) -> None:
    print(orjson.dumps(entry).decode(), flush=True)


def _show_line(entry: Entry) -> None:
    """Show an entry to a person: why, the id, and the document without what stands beside it already."""
    event = entry["event"]
    why, colour = entry.get("why", event), COLOURS[event]
    if event == "put":
        document = dict(entry["data"])
        said = f"{why:<8}  {document.pop('id', '')}  {orjson.dumps(document).decode()}"
    else:
        said = f"{why:<8}  {entry.get('id', '')}".rstrip()
    click.echo(click.style(said[:8], fg=colour) + said[8:])
