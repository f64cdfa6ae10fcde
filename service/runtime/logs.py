"""Structured logs: ours and the libraries', through one pipeline, to standard error."""

import logging
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the present request, which is on every line; set by whoever names it."""

QUIET_LOGGERS = ("asyncio", "granian", "_granian", "litestar", "motor", "pymongo")
"""Libraries of which only warnings and worse are of interest."""

SECRET_NAMES = frozenset(
    {
        "access_token",
        "authorization",
        "cookie",
        "csrf_token",
        "jwt_secret",
        "mongodb_uri",
        "password",
        "refresh_token",
        "secret",
        "token",
    }
)
MASK = "********"
_CREDENTIALS = re.compile(r"(?<=://)[^\s]*@")

Form = Literal["json", "console"]


def configure(level: str, form: Form) -> None:
    """Send every log of at least `level` (debug, info, warning, error) to standard error as `form`.

    Times are RFC 3339 in UTC; what is bound with `structlog.contextvars` is on every line, and `request_id`;
    tracebacks are one text field in JSON. May be called again; the last call holds.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    final = _final(form)
    structlog.configure(
        processors=[*_shared(), *final],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=StandardError,
        cache_logger_on_first_use=form == "json",
    )
    handler = logging.StreamHandler(StandardError())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


class StandardError:
    """Writes to whatever `sys.stderr` is at the time, a line at once."""

    def __init__(self, name: str | None = None, *_: Any) -> None:
        self.name = name

    def write(self, text: str) -> None:
        """Write text as it is."""
        sys.stderr.write(text)

    def flush(self) -> None:
        """Write out what is still held back."""
        sys.stderr.flush()

    def line(self, text: str) -> None:
        """Write one line; a single write, so that lines of several threads and workers stay whole."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = line


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.processors.add_log_level,
        _add_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _final(form: Form) -> list[Processor]:
    # Tracebacks become text before the masking, and plain: the coloured ones print local variables too.
    return [structlog.processors.format_exc_info, mask_secrets, _renderer(form)]


def _renderer(form: Form) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the request; in a variable of its own, for binding one of structlog's takes ten times as long."""
    present = request_id.get()
    if present is not None:
        event.setdefault("request_id", present)
    return event


def _add_name(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the logger: ours was given its name as it was made, a library's has one."""
    record = event.get("_record")
    name = record.name if record is not None else getattr(logger, "name", None)
    if name:
        event["logger"] = name
    return event


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask fields that are secrets by name, and credentials in URLs.

    >>> mask_secrets(None, "info", {"event": "to mongodb://ann:pw@db/x", "token": "t"})
    {'event': 'to mongodb://********@db/x', 'token': '********'}
    """
    for name, value in event.items():
        if name in SECRET_NAMES:
            event[name] = MASK
        elif isinstance(value, str) and "://" in value:
            event[name] = _CREDENTIALS.sub(MASK + "@", value)
    return event


def _json(event: EventDict, default: Callable[[Any], Any], **_: Any) -> str:
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
