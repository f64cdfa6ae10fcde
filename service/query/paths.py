"""Dotted paths: from a client's text to a field that the client may ask about."""

from collections.abc import Iterator

from service.query.fields import Field
from service.query.limits import MAXIMUM_PATH_NAMES
from service.query.problems import Problems, shown
from service.query.tree import Path


def find(fields: Field, text: str) -> tuple[Path, Field] | None:
    """Find the field at a dotted path; None for one that is absent, hidden, or no field's name at all.

    A name that begins with `_` must be declared: it is Sheaf's own or nobody's.
    """
    path = tuple(text.split("."))
    if "" in path or len(path) > MAXIMUM_PATH_NAMES or "\0" in text:
        return None
    if text[0] == "_" and path[0] not in fields.fields:
        return None
    if "$" in text and any(name.startswith("$") for name in path):
        return None
    field = fields.resolve(path)
    return None if field is None else (path, field)


def report_unknown(
    problems: Problems, fields: Field, text: str, *, parameter: str, pointer: str | None = None
) -> None:
    """Note that there is no such field: the same for a hidden field as for one that is absent."""
    problems.add(
        f"there is no field `{shown(text)}`",
        "unknown_field",
        parameter=parameter,
        pointer=pointer,
        hint=problems.suggest(text, _visible_beside(fields, text)),
    )


def _visible_beside(fields: Field, text: str) -> Iterator[str]:
    """Give the dotted paths of the visible fields beside an unknown one, at the depth where it goes wrong."""
    before, here = "", fields
    for name in text.split(".")[:MAXIMUM_PATH_NAMES]:
        found = find(here, name)
        if found is None:
            break
        before, here = f"{before}{name}.", found[1]
    for level in (here, here.items):
        if level is not None and not level.write_only:
            yield from (before + name for name in level.names())
