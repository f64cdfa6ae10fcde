"""A schema from example documents: JSON Schema 2020-12 that every one of them matches, in bounded memory."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

from service.query import kinds
from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM
from service.schema.check import MAXIMUM_BYTES, MAXIMUM_SUBSCHEMAS
from service.schema.subschemas import collect
from service.schema.validators import DIALECT

MAXIMUM_CHARACTERS = 2048

_SHAPES: dict[str, re.Pattern[str]] = {
    "date-time": re.compile(
        r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
    ),
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "uuid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII),
    "objectid": re.compile(r"[0-9a-f]{24}", re.ASCII),
    "email": re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}", re.ASCII),
    "ipv4": re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII),
    "uri": re.compile(r"(?:https?|ftp|wss?)://[^\s/?#]+\.?[^\s]*"),
}
TEXT_FORMATS = tuple(_SHAPES)


def _check(name: str) -> Callable[[str], bool]:
    validates = jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True).is_valid
    kind = kinds.FORMATS.get(name)

    def holds(text: str) -> bool:
        return _SHAPES[name].fullmatch(text) is not None and validates(text) and _is_storable(kind, text)

    return holds


def _is_storable(kind: kinds.Kind | None, text: str) -> bool:
    if kind is None:
        return True
    try:
        kinds.to_bson(kind, text)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], Any]] = {name: _check(name) for name in TEXT_FORMATS}


def matching_format(text: str, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the formats that the text has.

    >>> matching_format("2026-11-22", TEXT_FORMATS), matching_format("Jun 12 1998", TEXT_FORMATS)
    (('date',), ())
    """
    if len(text) > MAXIMUM_CHARACTERS:
        return ()
    return tuple(name for name in formats if _CHECKS[name](text))


TYPES = ("boolean", "integer", "number", "string", "array", "object", "null")
"""The types in the order in which a schema lists them."""

MAXIMUM_PLACES = 4_000
MAXIMUM_RECORD_MEMBERS = 64
MAXIMUM_NESTED_MEMBERS = 256
MAXIMUM_DEPTH = 32
MAXIMUM_ENUM_CANDIDATES = 12
MAXIMUM_CANDIDATE_CHARACTERS = 64
MINIMUM_ENUM_VALUES = 20
MINIMUM_ENUM_REPETITIONS = 5
MINIMUM_MAP_MEMBERS = 3
_DETAILS = ((MAXIMUM_DEPTH, True), (MAXIMUM_DEPTH, False), (4, False), (2, False), (1, False))

_KEY_OF_MAP = re.compile(
    r"[0-9]+|[0-9]{4}-[0-9]{2}(?:-[0-9]{2}.*)?|[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
_NAME_OF_ID = re.compile(r"(?:[a-z](?:Id|ID)|(?:^|[_ -])(?:id|Id|ID|oid))s?$")


class _Room:
    """How much an inference may still remember, and how much of it its schema tells."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.depth = MAXIMUM_DEPTH
        self.has_candidates = True


class _Place:
    """What has been seen at one place of the documents: the values of a member, or of an array's elements."""

    __slots__ = (
        "candidates",
        "count",
        "depth",
        "formats",
        "items",
        "members",
        "objects",
        "others",
        "room",
        "texts",
        "types",
    )

    def __init__(self, room: _Room, depth: int) -> None:
        room.places -= 1
        self.room = room
        self.depth = depth
        self.count = 0
        self.types: set[str] = set()
        self.texts = 0
        self.formats: tuple[str, ...] = TEXT_FORMATS
        self.candidates: set[str] | None = set()
        self.objects = 0
        self.members: dict[str, _Place] = {}
        self.others: _Place | None = None
        self.items: _Place | None = None

    def add(self, value: Any) -> None:
        """Take note of one value."""
        self.count += 1
        kind = _type_of(value)
        self.types.add(kind)
        if kind == "string":
            self._add_text(value)
        elif self.depth >= MAXIMUM_DEPTH:
            return
        elif kind == "object":
            self.add_members(value)
        elif kind == "array":
            if self.items is None:
                self.items = _Place(self.room, self.depth + 1)
            for element in value:
                self.items.add(element)

    def add_members(self, members: Mapping[str, Any]) -> None:
        """Take note of the members of one object."""
        self.objects += 1
        for name, value in members.items():
            place = self.members.get(name)
            (place or self._new(name)).add(value)

    def _new(self, name: str) -> "_Place":
        if self.room.places > 0 and not (self.depth and self._is_surely_map()):
            place = self.members[name] = _Place(self.room, self.depth + 1)
            return place
        if self.others is None:
            self.others = _Place(self.room, self.depth + 1)
        return self.others

    def _is_surely_map(self) -> bool:
        """Return whether the objects have many names, each only few of them: more room would be wasted."""
        if self.others is not None or len(self.members) >= MAXIMUM_NESTED_MEMBERS:
            return True
        if len(self.members) <= MAXIMUM_RECORD_MEMBERS:
            return False
        present = sum(place.count for place in self.members.values())
        return 2 * present < len(self.members) * self.objects

    def _add_text(self, text: str) -> None:
        self.texts += 1
        if self.formats:
            self.formats = matching_format(text, self.formats)
        if self.candidates is not None:
            self.candidates.add(text)
            if len(self.candidates) > MAXIMUM_ENUM_CANDIDATES or len(text) > MAXIMUM_CANDIDATE_CHARACTERS:
                self.candidates = None

    def absorb(self, other: "_Place") -> None:
        """Take over all that has been seen at another place."""
        self.count += other.count
        self.types |= other.types
        self.texts += other.texts
        self.formats = tuple(name for name in self.formats if name in other.formats)
        if self.candidates is not None and other.candidates is not None:
            both = self.candidates | other.candidates
            self.candidates = both if len(both) <= MAXIMUM_ENUM_CANDIDATES else None
        else:
            self.candidates = None
        self.objects += other.objects
        for name, place in other.members.items():
            if name not in self.members:
                self.members[name] = _Place(self.room, self.depth + 1)
            self.members[name].absorb(place)
        self.others = _union(self, self.others, other.others)
        self.items = _union(self, self.items, other.items)

    def all_members(self) -> "_Place":
        """Return the members' values as if they were one place's."""
        merged = _Place(self.room, self.depth + 1)
        for place in (*self.members.values(), *([self.others] if self.others else [])):
            merged.absorb(place)
        return merged

    def schema(self, name: str = "") -> dict[str, Any]:
        """Return the schema of this place's values; `name` is its member's, a hint on what it holds."""
        if self.types <= {"null"}:
            return {}
        types = self.types - {"integer"} if "number" in self.types else self.types
        listed = [each for each in TYPES if each in types]
        schema: dict[str, Any] = {"type": listed[0] if len(listed) == 1 else listed}
        if "string" in types:
            schema |= self._text_schema(types, name)
        if self.depth >= self.room.depth:
            return schema
        if "array" in types and self.items is not None:
            schema["items"] = self.items.schema(name)
        if "object" in types:
            schema |= self.object_schema()
        return schema

    def object_schema(self) -> dict[str, Any]:
        """Return the keywords for the objects that have been seen here."""
        if self.depth and self._is_map():
            return {"additionalProperties": self.all_members().schema()}
        # What may be null may be left out too: files often write a member only because it is a column.
        required = [
            name
            for name, place in self.members.items()
            if place.count == self.objects and "null" not in place.types
        ]
        return {
            "properties": {name: place.schema(name) for name, place in self.members.items()},
            **({"required": required} if required else {}),
            "additionalProperties": self.others.schema() if self.others is not None else False,
        }

    def _text_schema(self, types: set[str], name: str) -> dict[str, Any]:
        if not types <= {"string", "null"}:
            return {}
        if self.formats and (self.formats[0] != "objectid" or _NAME_OF_ID.search(name)):
            return {"format": self.formats[0]}
        if self.candidates is None or not self.room.has_candidates:
            return {}
        if len(self.candidates) == 1 or self.texts < MINIMUM_ENUM_VALUES:
            return {}
        is_repeating = self.texts >= MINIMUM_ENUM_REPETITIONS * len(self.candidates)
        return {"x-enum-candidates": sorted(self.candidates)} if is_repeating else {}

    def _is_map(self) -> bool:
        if self._is_surely_map():
            return True
        names = self.members
        if len(names) > MAXIMUM_RECORD_MEMBERS:
            return self._has_like_members()
        has_keys = len(names) >= MINIMUM_MAP_MEMBERS and all(_KEY_OF_MAP.fullmatch(name) for name in names)
        return has_keys and self._has_like_members()

    def _has_like_members(self) -> bool:
        types: set[str] = set().union(*(place.types for place in self.members.values())) - {"null"}
        return len(types) <= 1 or types == {"integer", "number"}


def _type_of(value: Any) -> str:
    name = _TYPES.get(type(value))
    if name is None:
        raise TypeError(f"{type(value).__name__} is not a type of JSON")
    return "number" if name == "integer" and not INT64_MINIMUM <= value <= INT64_MAXIMUM else name


_TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "array",
}


def _union(parent: _Place, one: _Place | None, other: _Place | None) -> _Place | None:
    if other is None:
        return one
    merged = one or _Place(parent.room, parent.depth + 1)
    merged.absorb(other)
    return merged


class Inference:
    """Documents come in one by one, and their schema comes out; the member `id` is the collection's affair.

    Memory is bounded whatever the documents are: members beyond the bound are described together.

    >>> inference = Inference()
    >>> inference.add({"name": "Ann", "age": 7})
    >>> inference.add({"name": None})
    >>> inference.schema()["properties"]
    {'name': {'type': ['string', 'null']}, 'age': {'type': 'integer'}}
    """

    def __init__(self, title: str | None = None) -> None:
        self._title = title
        self._root = _Place(_Room(MAXIMUM_PLACES), depth=0)

    def add(self, document: Mapping[str, Any]) -> None:
        """Take note of one document of plain JSON values."""
        if "id" in document:
            document = {name: value for name, value in document.items() if name != "id"}
        self._root.add_members(document)

    def schema(self) -> dict[str, Any]:
        """Return the schema that every document added so far matches; without documents, that of any object.

        Where all that is known would be larger than a schema may be, the schema says less: first without
        candidates for enumerations, then without what is deep inside.
        """
        heading = {"$schema": DIALECT} | ({"title": self._title} if self._title else {}) | {"type": "object"}
        if self._root.objects:
            room = self._root.room
            for room.depth, room.has_candidates in _DETAILS:
                schema = heading | self._root.object_schema()
                if _fits(schema):
                    return schema
        return heading


def _fits(schema: dict[str, Any]) -> bool:
    size = len(json.dumps(schema, ensure_ascii=False).encode(errors="replace"))
    return (
        size <= MAXIMUM_BYTES and len(collect(schema, MAXIMUM_SUBSCHEMAS + 1).schemas) <= MAXIMUM_SUBSCHEMAS
    )
