"""The parameters of a saved query: typed by JSON Schema, read from a URL, always data."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service import schema as schemas
from service.kit.errors import (
    DefinitionInvalid,
    DocumentInvalid,
    ParameterInvalid,
    Violation,
)
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations, shown
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_LIST_LENGTH
from service.query.operators import SCALARS
from service.query.values import Unreadable, from_text
from service.saved_queries.limits import MAXIMUM_PARAMETERS_OF_A_QUERY
from service.schema import Schema


@dataclass(frozen=True, slots=True)
class Values:
    """One run's values: of parameters as JSON and as BSON, of collections the stages that narrow them."""

    json: Mapping[str, Any]
    bson: Mapping[str, Any]
    narrowing: Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """A part of a compiled pipeline that depends on one run's values."""

    make: Callable[[Values], Any]


def fill(part: Any, values: Values) -> Any:
    """Return a compiled part with everything that is Later made for one run.

    >>> fill({"$limit": Later(lambda values: values.json["top"])}, Values({"top": 3}, {}, {}))
    {'$limit': 3}
    """
    if isinstance(part, Later):
        return part.make(values)
    if isinstance(part, dict):
        return {name: fill(member, values) for name, member in part.items()}
    if isinstance(part, list):
        return [fill(element, values) for element in part]
    return part


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
TYPES = {
    "string": Kind.STRING,
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "null": Kind.NULL,
}
_WRAPPER = "parameters"
_BEFORE = f"/properties/{_WRAPPER}/properties"
_SAMPLES: Mapping[Kind, Any] = {
    Kind.NULL: None,
    Kind.BOOLEAN: True,
    Kind.INTEGER: 1,
    Kind.NUMBER: 1,
    Kind.STRING: "text",
    Kind.DATE_TIME: "2026-11-22T12:00:00Z",
    Kind.DATE: "2026-11-22",
    Kind.OBJECT_ID: "0" * 24,
    Kind.UUID: "00000000-0000-4000-8000-000000000000",
    Kind.INT64: 1,
    Kind.DECIMAL: "1.5",
    Kind.BINARY: "AAAA",
}


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A query's parameters, compiled: `schemas` by name as the definition has them."""

    schemas: Mapping[str, dict[str, Any]]
    _schema: Schema | None = None

    def field(self, name: str) -> Field | None:
        """Return the Field of a parameter's values, None when there is no such parameter."""
        return None if self._schema is None else self._schema.root.resolve((_WRAPPER, name))

    def samples(self, name: str) -> list[Any]:
        """Return JSON values of every kind that a parameter may have, to judge where it is used."""
        schema, field = self.schemas[name], self.field(name)
        if "const" in schema:
            return [schema["const"]]
        if isinstance(schema.get("enum"), list):
            return [*schema["enum"][:10]]
        if field is None:
            return [None]
        if Kind.ARRAY in field.kinds and field.items is not None:
            return [[each] for each in _samples(schema["items"], field.items)]
        return _samples(schema, field)

    def read(self, pairs: Sequence[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read a request's parameters; returns their values by name, defaults included, as JSON and as BSON.

        Raises ParameterInvalid with every violation, each naming its parameter.
        """
        violations = Violations()
        self._add_misplaced(violations, [name for name, _ in pairs])
        given: dict[str, Any] = {}
        unread = set()
        for name, text in pairs:
            if name in self.schemas and name not in given:
                try:
                    given[name] = _from_text(self.schemas[name], text)
                except Unreadable as problem:
                    unread.add(name)
                    detail = f"`{shown(text)}` is {problem}"
                    violations.add(detail, "type", parameter=name)
        body = {_WRAPPER: given}
        if self._schema is not None:
            body = self._schema.with_defaults(body)
            found = (_of_parameter(each) for each in self._schema.violations(body))
            violations.extend(each for each in found if each.parameter not in unread)
        violations.raise_if_any(ParameterInvalid, "parameters are invalid")
        return body[_WRAPPER], self._encoded(body)

    def _encoded(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._schema is None:
            return {}
        try:
            encoded: dict[str, Any] = self._schema.encode(body)[_WRAPPER]
        except DocumentInvalid as failure:
            raise ParameterInvalid(failure.detail, errors=map(_of_parameter, failure.errors)) from None
        return encoded

    def _add_misplaced(self, violations: Violations, names: list[str]) -> None:
        for name in dict.fromkeys(names):
            said = shown(name)
            if name not in self.schemas:
                hint = violations.suggest(name, self.schemas)
                violations.add(
                    f"`{said}` is not a parameter here", "unknown_parameter", hint=hint, parameter=said
                )
            elif names.count(name) > 1:
                violations.add(f"`{said}` is there more than once", "repeated", parameter=said)


def compile_parameters(faults: Violations, value: Any, pointer: str) -> Parameters:
    """Check and compile `{name: JSON Schema}`; what is wrong goes to `faults`."""
    nothing = Parameters({})
    if not isinstance(value, dict):
        faults.add("the parameters are not an object of schemas by name", "type", pointer)
        return nothing
    if len(value) > MAXIMUM_PARAMETERS_OF_A_QUERY:
        detail = f"a query has at most {MAXIMUM_PARAMETERS_OF_A_QUERY} parameters"
        faults.add(detail, "too_complex", pointer)
        return nothing
    before = len(faults)
    for name, schema in value.items():
        _check(faults, name, schema, pointer + escape_pointer(name))
    if not value or len(faults) > before:
        return nothing
    required = [name for name, schema in value.items() if "default" not in schema]
    own = {"type": "object", "properties": value, "required": required, "additionalProperties": False}
    wrapper = {"type": "object", "properties": {_WRAPPER: own}}
    try:
        schemas.check(wrapper)
    except DefinitionInvalid as failure:
        for each in failure.errors:
            faults.add(
                each.detail, each.code, pointer + (each.pointer or "").removeprefix(_BEFORE), each.hint
            )
        return nothing
    compiled = Parameters(value, schemas.compile(wrapper))
    for name in value:
        _check_kinds(faults, compiled.field(name), name, pointer + escape_pointer(name))
    return nothing if len(faults) > before else compiled


def _samples(schema: Mapping[str, Any], field: Field) -> list[Any]:
    digits = {Kind.INT64: "1"} if "string" in _types(schema) else {}
    found = {**_SAMPLES, **digits}
    return [found[kind] for kind in Kind if kind in field.kinds and kind in found] or [None]


def _check(faults: Violations, name: str, schema: Any, pointer: str) -> None:
    """Check what a parameter needs beyond being a JSON Schema: a usable name, a type that a URL can say."""
    if not NAME.fullmatch(name):
        hint = "Use a letter, then up to 63 letters, digits and `_`."
        faults.add(f"`{shown(name)}` cannot be the name of a parameter", "pattern", pointer, hint)
    if not isinstance(schema, dict):
        faults.add("a parameter is described by a JSON Schema object", "type", pointer)
        return
    types = _types(schema)
    if types == ["array"]:
        items = schema.get("items")
        types = _types(items) if isinstance(items, dict) else []
        pointer += "/items"
    if not types or not all(isinstance(each, str) and each in TYPES for each in types):
        detail = "a parameter says its `type`: of " + ", ".join(TYPES) + ", or an array with `items` of these"
        faults.add(detail, "type", f"{pointer}/type")


def _check_kinds(faults: Violations, field: Field | None, name: str, pointer: str) -> None:
    kinds = frozenset() if field is None else field.kinds
    if field is not None and Kind.ARRAY in kinds:
        kinds = field.items.kinds if field.items is not None else frozenset({Kind.OBJECT})
    if not kinds or not kinds <= SCALARS:
        faults.add(f"no text of a URL can be a value of `{name}`", "type", pointer)


def _types(schema: Mapping[str, Any]) -> list[Any]:
    stated = schema.get("type", [])
    return list(stated) if isinstance(stated, list) else [stated]


def _from_text(schema: Mapping[str, Any], text: str) -> Any:
    types = _types(schema)
    if types != ["array"]:
        return _one(types, text)
    parts = text.split(",") if text else []
    if len(parts) > MAXIMUM_LIST_LENGTH:
        raise Unreadable(f"not a list of at most {MAXIMUM_LIST_LENGTH} values")
    return [_one(_types(schema["items"]), part) for part in parts]


def _one(types: list[Any], text: str) -> Any:
    """Read text as the first of its types that it can be: as a number rather than as text."""
    return from_text(frozenset(TYPES[each] for each in types), text)[0]


def _of_parameter(violation: Violation) -> Violation:
    name = (violation.pointer or "").removeprefix(f"/{_WRAPPER}/").split("/")[0]
    return Violation(violation.detail, violation.code, parameter=name, hint=violation.hint)
