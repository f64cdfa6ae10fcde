"""Values of rules that are the caller's own, or the time: `$user.id`, `$now-7d` and the like."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from service.access.principals import Principal
from service.access.rules.words import MAXIMUM_NESTING, MAXIMUM_OFFSET_DAYS
from service.kit.errors import suggestion
from service.kit.violations import shown

_ATTRIBUTE = re.compile(r"\$user\.attributes\.([A-Za-z_][A-Za-z0-9_-]{0,63})", re.ASCII)
_NOW = re.compile(r"\$now(?:([+-])([1-9][0-9]{0,8})([smhdw]))?", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

SAMPLE_ID = "0" * 24

Read: TypeAlias = Callable[[Principal, datetime], Any]


class Absent(Exception):
    """The caller lacks a value that an alternative asks for, or has one that does not fit; says which."""


class Unknown(Exception):
    """Text that begins with `$` and is none of the values that there are, as a sentence."""

    def __init__(self, detail: str, hint: str | None = None) -> None:
        self.hint = hint
        super().__init__(detail)


@dataclass(frozen=True, slots=True, eq=False)
class Placeholder:
    """What stands in a rule for a value of the caller; `samples` are some that it can have."""

    text: str
    read: Read
    samples: tuple[Any, ...]
    is_time: bool = False


_OF_USER: Mapping[str, tuple[Callable[[Principal], Any], Any]] = {
    "$user.id": (lambda principal: principal.id, SAMPLE_ID),
    # One's own only once it is verified: anybody can register with an address that has no account yet.
    "$user.email": (
        lambda principal: principal.email if principal.is_email_verified else None,
        "ann@example.com",
    ),
    "$user.email_verified": (lambda principal: principal.is_email_verified, True),
    "$user.name": (lambda principal: principal.name, "Ann"),
    "$user.roles": (lambda principal: sorted(principal.roles), ["editor"]),
}

NAMES = (*_OF_USER, "$user.attributes.<name>", "$now")
"""The values that there are, as the documentation calls them."""

_OF_ATTRIBUTES = (
    *("a", 1, True, ["a"], [1], [True], SAMPLE_ID, "00000000-0000-0000-0000-000000000000"),
    *("2026-01-01T00:00:00Z", "2026-01-01", "1.5", "YQ=="),
)


def placeholder(text: str) -> Placeholder:
    """Read a placeholder; raises Unknown.

    >>> from service.access.principals import ANONYMOUS, Principal
    >>> placeholder("$user.id").read(Principal("user", "1", frozenset()), datetime.now(UTC))
    '1'
    >>> placeholder("$user.nam")
    Traceback (most recent call last):
    service.access.rules.placeholders.Unknown: there is no value `$user.nam`
    """
    if text in _OF_USER:
        of_user, sample = _OF_USER[text]
        return Placeholder(text, lambda principal, _: _own(text, principal, of_user(principal)), (sample,))
    if match := _ATTRIBUTE.fullmatch(text):
        name = match[1]
        return Placeholder(
            text,
            lambda principal, _: _own(text, principal, _flat(principal.attributes.get(name))),
            _OF_ATTRIBUTES,
        )
    if match := _NOW.fullmatch(text):
        offset = _offset(*match.groups())
        sample = json_time(datetime(2026, 1, 1, tzinfo=UTC))
        return Placeholder(text, lambda _, now: json_time(now + offset), (sample,), is_time=True)
    hint = suggestion(text[:64], [*_OF_USER, "$now"]) or "Text that begins with `$` is written with `$$`."
    raise Unknown(f"there is no value `{shown(text)}`", hint)


def json_time(moment: datetime) -> str:
    """Return a moment as JSON has it (RFC 3339, UTC, milliseconds)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _offset(sign: str | None, number: str | None, unit: str | None) -> timedelta:
    if sign is None or number is None or unit is None:
        return timedelta()
    offset = timedelta(**{_UNITS[unit]: int(number)})
    if offset > timedelta(days=MAXIMUM_OFFSET_DAYS):
        raise Unknown(f"`$now` can be moved by {MAXIMUM_OFFSET_DAYS} days at the most")
    return -offset if sign == "-" else offset


def _own(text: str, principal: Principal, value: Any) -> Any:
    if value is None or not principal.is_signed_in:
        raise Absent(f"the caller has no `{text}`")
    return value


def _flat(value: Any) -> Any:
    """Return an attribute that is a plain value or a list of them; null, also within a list, is none."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, str | bool | int | float) for each in value):
        return list(value)
    return None


def read(value: Any, depth: int = 0) -> Any:
    """Return a JSON value with Placeholders in the place of what begins with `$`; raises Unknown.

    >>> read({"a": ["$$5", 1]})
    {'a': ['$5', 1]}
    """
    if depth > MAXIMUM_NESTING:
        raise Unknown(f"a value may be nested {MAXIMUM_NESTING} levels deep at the most")
    if isinstance(value, str) and value.startswith("$"):
        return value[1:] if value.startswith("$$") else placeholder(value)
    if isinstance(value, list):
        return [read(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {name: read(each, depth + 1) for name, each in value.items()}
    return value


def within(value: Any) -> Iterator[Placeholder]:
    """Yield the placeholders in what `read` gives."""
    if isinstance(value, Placeholder):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from within(each)


def resolve(value: Any, of: Callable[[Placeholder], Any]) -> Any:
    """Return what `read` gives with a value in the place of each placeholder."""
    if isinstance(value, Placeholder):
        return of(value)
    if isinstance(value, list):
        return [resolve(each, of) for each in value]
    if isinstance(value, dict):
        return {name: resolve(each, of) for name, each in value.items()}
    return value


def samples(value: Any, shaped: Callable[[Placeholder, Any], Any]) -> Iterator[Any]:
    """Yield what `read` gives with values in it that it can have, each as `shaped` makes it."""
    turns = max((len(each.samples) for each in within(value)), default=1)
    for turn in range(turns):
        yield resolve(value, partial(_sample, turn, shaped))


def _sample(turn: int, shaped: Callable[[Placeholder, Any], Any], each: Placeholder) -> Any:
    return shaped(each, each.samples[turn % len(each.samples)])
