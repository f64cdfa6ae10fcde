"""Indexes of a collection: read from a definition, and brought about in MongoDB."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.kit.errors import DefinitionInvalid, ParameterInvalid, Violation, suggestion
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations
from service.query import parse_filter, to_mongo
from service.query.fields import Field, find_field
from service.query.kinds import Kind

MAXIMUM_INDEXES = 32
MAXIMUM_FIELDS = 16
MAXIMUM_TTL_S = 2**31 - 1
MEMBERS = ("fields", "text", "geo", "unique", "sparse", "where", "ttl_s", "language")

LANGUAGES = (
    *("danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "none"),
    *("norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish"),
)
"""The languages whose words MongoDB knows the stems of."""

_LANGUAGE_OVERRIDE = "_language"
"""Where MongoDB looks for a document's own language: a name that no client can write, not `language`."""


@dataclass(frozen=True, slots=True)
class Index:
    """One index: its name, its keys as MongoDB has them, its options as MongoDB has them."""

    name: str
    keys: tuple[tuple[str, int | str], ...]
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(indexes: Any, root: Field) -> tuple[Index, ...]:
    """Read a definition's indexes against its fields; raises DefinitionInvalid with pointers.

    Each is an object with one of `fields` (names, `-name` for descending), `text` (names) or `geo` (a name),
    and perhaps `unique`, `sparse` or `where` (a filter: only those documents are indexed), `ttl_s` (seconds
    after the one date-time field at which documents go), `language` (of LANGUAGES, of a text's words).
    """
    violations = Violations()
    if not isinstance(indexes, list):
        violations.add("the indexes are not an array", "type", "/indexes")
        raise violations.failure(DefinitionInvalid)
    if len(indexes) > MAXIMUM_INDEXES:
        violations.add(f"there are more than {MAXIMUM_INDEXES} indexes", "max_items", "/indexes")
        raise violations.failure(DefinitionInvalid)
    parsed: list[Index] = []
    for position, described in enumerate(indexes):
        index = _Reader(described, f"/indexes/{position}", root, violations).read()
        if index is not None:
            parsed.append(index)
    violations.extend(_clashes(parsed))
    violations.raise_if_any(DefinitionInvalid)
    return tuple(parsed)


def has_text(indexes: Iterable[Index]) -> bool:
    """Return whether text can be searched for: whether one of the indexes is a text index."""
    return any(kind == "text" for index in indexes for _, kind in index.keys)


def _clashes(indexes: list[Index]) -> Iterator[Violation]:
    if sum(has_text([index]) for index in indexes) > 1:
        yield Violation("a collection can have one text index", "text", pointer="/indexes")
    if len({index.name for index in indexes}) < len(indexes):
        yield Violation("an index is there twice", "unique_items", pointer="/indexes")


class _Reader:
    """Reads one described index, gathering all that is wrong with it."""

    def __init__(self, described: Any, pointer: str, root: Field, violations: Violations) -> None:
        self._described = described
        self._pointer = pointer
        self._root = root
        self._violations = violations

    def read(self) -> Index | None:
        """Return the index, or None when there are violations."""
        before = len(self._violations)
        if not isinstance(self._described, dict):
            self._refuse("an index is an object", "type")
            return None
        self._violations.unknown_members(self._described, MEMBERS, self._pointer, "a member of an index")
        keys = self._keys()
        options = self._options(keys)
        if len(self._violations) > before:
            return None
        return Index(_name(keys, options), tuple(keys), options)

    def _refuse(self, detail: str, code: str, member: str | None = None, hint: str | None = None) -> None:
        pointer = self._pointer + ("" if member is None else escape_pointer(member))
        self._violations.add(detail, code, pointer, hint)

    def _keys(self) -> list[tuple[str, int | str]]:
        forms = [form for form in ("fields", "text", "geo") if form in self._described]
        if len(forms) != 1:
            self._refuse("an index has one of `fields`, `text` and `geo`", "form")
            return []
        if forms == ["geo"]:
            return [(self._path(self._described["geo"], "geo"), "2dsphere")]
        names = self._described[forms[0]]
        if not isinstance(names, list) or not 1 <= len(names) <= MAXIMUM_FIELDS:
            self._refuse(f"`{forms[0]}` is not an array of 1 to {MAXIMUM_FIELDS} names", "type", forms[0])
            return []
        if forms == ["text"]:
            return [(self._path(name, "text"), "text") for name in names]
        keys = [(self._path(name, "fields"), -1 if str(name).startswith("-") else 1) for name in names]
        if len({path for path, _ in keys}) < len(keys):
            self._refuse("a field is there twice", "unique_items", "fields")
        return [*keys]

    def _path(self, name: Any, member: str) -> str:
        """Return the stored path of a named field, having checked that there is one."""
        if not isinstance(name, str):
            self._refuse("the name of a field is not a string", "type", member)
            return ""
        path = name.removeprefix("-") if member == "fields" else name
        found = find_field(self._root, path)
        items = None if found is None else found[1].items
        if found is None or (items is not None and items.write_only):
            self._refuse(
                f"`{path[:80]}` is not a field", "unknown_field", member, suggestion(path, self._root.names())
            )
        return "_id" if path == "id" else path

    def _options(self, keys: list[tuple[str, int | str]]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for flag in ("unique", "sparse"):
            value = self._described.get(flag, False)
            if not isinstance(value, bool):
                self._refuse(f"`{flag}` is not true or false", "type", flag)
            elif value and "fields" not in self._described:
                self._refuse(f"only an index on `fields` can be {flag}", "form", flag)
            elif value:
                options[flag] = True
        if "where" in self._described:
            options["partialFilterExpression"] = self._partial(options)
        if "ttl_s" in self._described:
            options["expireAfterSeconds"] = self._ttl(keys)
        return options | self._language()

    def _language(self) -> dict[str, str]:
        language = self._described.get("language", "english")
        if not (isinstance(language, str) and language in LANGUAGES):
            hint = suggestion(language, LANGUAGES) if isinstance(language, str) else None
            self._refuse(f"`language` is not one of {', '.join(LANGUAGES)}", "enum", "language", hint)
        if "text" in self._described:
            return {"default_language": language, "language_override": _LANGUAGE_OVERRIDE}
        if "language" in self._described:
            self._refuse("only an index on `text` has a language", "form", "language")
        return {}

    def _partial(self, options: Mapping[str, Any]) -> dict[str, Any]:
        if "sparse" in options:
            self._refuse("an index is either sparse or has a `where`", "form", "where")
        try:
            return to_mongo(parse_filter(self._described["where"], self._root))
        except ParameterInvalid as error:
            details = [violation.detail for violation in error.errors] or [error.detail]
            for detail in details:
                self._refuse(detail, "where", "where")
            return {}

    def _ttl(self, keys: list[tuple[str, int | str]]) -> int:
        ttl_s = self._described["ttl_s"]
        if isinstance(ttl_s, bool) or not isinstance(ttl_s, int) or not 0 <= ttl_s <= MAXIMUM_TTL_S:
            self._refuse("`ttl_s` is not a number of seconds", "type", "ttl_s")
            return 0
        found = self._root.resolve(tuple(keys[0][0].split("."))) if len(keys) == 1 else None
        if found is None or not found.kinds & {Kind.DATE_TIME, Kind.DATE}:
            self._refuse("`ttl_s` needs an index on one date-time field", "form", "ttl_s")
        return ttl_s


def _name(keys: list[tuple[str, int | str]], options: Mapping[str, Any]) -> str:
    """Name an index by what it is, so that another index never has its name."""
    described = json.dumps([keys, options], default=str, sort_keys=True)
    digest = hashlib.blake2b(described.encode(), digest_size=4).hexdigest()
    return f"{'_'.join(path for path, _ in keys)[:80]}_{digest}"
