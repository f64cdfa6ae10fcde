"""The parameter `expand`: which references to follow, through the documents that they lead to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from service.kit.violations import shown
from service.query.fields import Field, find_field
from service.query.limits import MAXIMUM_DEPTH, MAXIMUM_EXPANDED_DEPTH, MAXIMUM_EXPANDED_PATHS
from service.query.parameters import Problems
from service.query.tree import Path

FieldsOf: TypeAlias = Callable[[str], Field | None]
"""Gives the fields of a collection that a reference leads to, None when there is no such collection.

It raises SignInRequired or Forbidden for a caller who may read nothing there, and who is so told of no field.
"""


@dataclass(frozen=True, slots=True)
class Expansion:
    """A reference to follow: its path within a document, the collection it leads to, what to follow there."""

    path: Path
    target: str
    below: tuple["Expansion", ...] = ()


def no_fields(_: str) -> Field | None:
    """Know of no other collection, so that no reference can be followed beyond the first document."""
    return None


def read_expand(
    problems: Problems, fields: Field, names: Any, fields_of: FieldsOf = no_fields
) -> tuple[Path, ...]:
    """Read `author.company,comments.author`, or an array of such paths; what is wrong goes to `problems`.

    A path names references, one after the other, each with the objects and arrays that hold it. Raises what
    `fields_of` raises.
    """
    paths: dict[Path, None] = {}
    for text, pointer in _texts(problems, names):
        path = tuple(text.split("."))
        fault = _fault(problems, fields, path, fields_of)
        if fault is None and path in paths:
            fault = _Fault("repeated", f"`{shown(text)}` is named twice")
        if fault is not None:
            problems.add(fault.detail, fault.code, parameter="expand", pointer=pointer, hint=fault.hint)
        paths[path] = None
    return tuple(paths)


def plan(fields: Field, paths: Iterable[Path], fields_of: FieldsOf) -> tuple[Expansion, ...]:
    """Bring paths that begin alike together; those that lead to no reference any more are left out."""
    rests: dict[_Reference, list[Path]] = {}
    for path in paths:
        found = _first_reference(fields, path)
        if isinstance(found, _Reference):
            rest = path[len(found.path) :]
            rests.setdefault(found, []).extend([rest] if rest else [])
    return tuple(
        Expansion(found.path, found.target, plan(below, rests[found], fields_of) if below else ())
        for found in rests
        for below in (fields_of(found.target),)
    )


def target_of(field: Field | None) -> str | None:
    """Return the collection that a field's values are ids of, alone or in arrays; None for no reference."""
    for _ in range(MAXIMUM_DEPTH):
        if field is None or field.write_only:
            return None
        if field.collection is not None:
            return field.collection
        field = field.items
    return None


class _Reference(NamedTuple):
    path: Path
    target: str


class _Fault(NamedTuple):
    code: str
    detail: str
    hint: str | None = None


def _texts(problems: Problems, names: Any) -> Iterator[tuple[str, str | None]]:
    if not isinstance(names, str | list):
        problems.add("`expand` is text or an array of texts", "type", parameter="expand")
        return
    parts = names.split(",") if isinstance(names, str) else names
    if len(parts) > MAXIMUM_EXPANDED_PATHS:
        detail = f"`expand` may name {MAXIMUM_EXPANDED_PATHS} references at the most"
        problems.stop(detail, "too_complex", parameter="expand")
    for position, part in enumerate(parts):
        pointer = f"/{position}" if isinstance(names, list) else None
        if isinstance(part, str):
            yield part, pointer
        else:
            problems.add("the name of a field is text", "type", parameter="expand", pointer=pointer)


def _fault(problems: Problems, fields: Field, path: Path, fields_of: FieldsOf) -> _Fault | None:
    """Say why a path cannot be expanded, None when it can."""
    here: Field | None = fields
    rest = path
    for _ in range(MAXIMUM_EXPANDED_DEPTH):
        found = None if here is None else _first_reference(here, rest)
        if not isinstance(found, _Reference):
            name, hint = shown(".".join(path)), _hint(problems, here, path, rest)
            if found is None:
                return _Fault("unknown_field", f"there is no field `{name}`", hint)
            return _Fault("type", f"`{name}` is no reference: its schema has no `x-collection`", hint)
        here, rest = fields_of(found.target), rest[len(found.path) :]
        if not rest:
            return None
    detail = f"`expand` follows {MAXIMUM_EXPANDED_DEPTH} references one after the other at the most"
    return _Fault("too_complex", detail)


def _hint(problems: Problems, fields: Field | None, path: Path, rest: Path) -> str | None:
    """Suggest a reference of the collection in which a path goes wrong."""
    hint = None if fields is None else problems.suggest(".".join(rest), _references(fields))
    before = "".join(f"{name}." for name in path[: len(path) - len(rest)])
    return hint and hint.replace("`", f"`{before}", 1)


def _first_reference(fields: Field, path: Path) -> "_Reference | Field | None":
    """Find the first reference on a path; the field at its end when there is none, None without a field."""
    here = fields
    for length, name in enumerate(path, start=1):
        found = find_field(fields, ".".join(path[:length]))
        is_position = name.isdecimal() and here.items is not None  # each element is expanded, not one alone
        if found is None or is_position:
            return None
        here = found[1]
        if (target := target_of(here)) is not None:
            return _Reference(path[:length], target)
    return here


def _references(fields: Field) -> Iterator[str]:
    """Yield the dotted paths of the declared references, through objects and arrays, each Field once."""
    seen: set[int] = set()
    waiting: list[tuple[str, Field]] = [("", fields)]
    while waiting:
        before, here = waiting.pop()
        if id(here) in seen or here.write_only:
            continue
        seen.add(id(here))
        if here.items is not None:
            waiting.append((before, here.items))
        for name, member in here.fields.items():
            if target_of(member) is not None:
                yield before + name
            else:
                waiting.append((f"{before}{name}.", member))
