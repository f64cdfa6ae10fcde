"""What `sheaf dev` prints when it listens: the collections, how to try them, how to sign in."""

import shlex
from collections.abc import Iterator
from typing import Any

import orjson

from service.dev.preparation import ADMIN_EMAIL, CollectionSummary, Prepared, documents
from service.runtime.settings import Settings

MAXIMUM_EXAMPLE_BYTES = 600
MAXIMUM_VALUE_CHARACTERS = 40
WORDS_OF_FILTERS = frozenset({"and", "or", "not"})
JSON_TYPE = "-H 'Content-Type: application/json'"


def banner(url: str, chosen: Settings, prepared: Prepared, *, has_own_mongodb: bool) -> str:
    """Return the text, ready to be printed; commands in it are ready to be pasted."""
    parts = (
        _collections(url, prepared.collections),
        _circumstances(url, chosen, prepared, has_own_mongodb=has_own_mongodb),
        _commands(url, prepared),
        _administrator(url, chosen, prepared, has_own_mongodb=has_own_mongodb),
    )
    return "\n" + "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _collections(url: str, collections: tuple[CollectionSummary, ...]) -> Iterator[str]:
    yield "Collections:"
    width = max(len(summary.name) for summary in collections)
    counts = [documents(summary.count) for summary in collections]
    room = max(map(len, counts))
    for summary, count in zip(collections, counts, strict=True):
        yield f"  {summary.name:<{width}}  {count:>{room}}  {url}/api/{summary.name}"


def _circumstances(url: str, chosen: Settings, prepared: Prepared, *, has_own_mongodb: bool) -> Iterator[str]:
    yield f"Every operation, to read and to try: {url}/docs"
    is_open = [summary.name for summary in prepared.collections if summary.is_open]
    if is_open:
        yield f"Anyone may read and write these collections: {', '.join(is_open)}."
    local = ["any port of localhost, 127.0.0.1 and [::1]"] if chosen.allows_local_pages else []
    callers = " and ".join([*local, *chosen.cors_origins]) or "no other origin"
    yield f"Pages on {callers} may call it; --cors ORIGIN lets others."
    if chosen.rate_limit == "on":
        yield (
            f"Rate limits are on: {chosen.rate_limit_anonymous} for each address,"
            f" {chosen.rate_limit_user} for each user."
        )
    else:
        yield "Rate limits are off; SHEAF_RATE_LIMIT=on turns them on."
    if has_own_mongodb:
        yield f"Data is kept in {chosen.data.absolute()}."
    else:
        yield f"Data is kept in {chosen.shown()['MONGODB_URI']}, database `{chosen.database}`."


def _commands(url: str, prepared: Prepared) -> Iterator[str]:
    first = prepared.collections[0]
    address = f"{url}/api/{first.name}"
    yield "Try:"
    yield f"  curl '{address}?limit=3'"
    if first.example is None:
        return
    condition = _condition(orjson.loads(first.example))
    if condition is not None:
        yield f"  curl -G {address} --data-urlencode {shlex.quote('filter=' + condition)}"
    if first.is_open and len(first.example) <= MAXIMUM_EXAMPLE_BYTES:
        yield f"  curl -X POST {address} {JSON_TYPE} -d {shlex.quote(first.example.decode())}"


def _condition(example: dict[str, Any]) -> str | None:
    """Return a filter that finds a document, by its first plain text or else its first number."""
    plain = {
        name: value
        for name, value in example.items()
        if name not in WORDS_OF_FILTERS and isinstance(value, str | int | float)
    }
    texts = {
        name: value
        for name, value in plain.items()
        if isinstance(value, str) and 0 < len(value) <= MAXIMUM_VALUE_CHARACTERS and value.isprintable()
    }
    numbers = {name: value for name, value in plain.items() if not isinstance(value, str)}
    for name, value in (texts or numbers).items():
        return orjson.dumps({name: value}).decode()
    return None


def _administrator(url: str, chosen: Settings, prepared: Prepared, *, has_own_mongodb: bool) -> Iterator[str]:
    password = prepared.admin_password
    if password is not None:
        body = orjson.dumps({"email": ADMIN_EMAIL, "password": password}).decode()
        yield f"Sign in as {ADMIN_EMAIL} with password {password} (shown only now):"
        yield f"  curl {url}/api/auth/login {JSON_TYPE} -d {shlex.quote(body)}"
        return
    is_default = chosen.data == type(chosen).model_fields["data"].default
    where = "" if is_default or not has_own_mongodb else f" --data {shlex.quote(str(chosen.data))}"
    yield "The accounts of earlier starts are there still. To make another administrator:"
    yield f"  sheaf user create EMAIL --admin --generate{where}"
