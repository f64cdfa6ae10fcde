"""Judge a schema before it is taken: valid 2020-12, self-contained, bounded, storable."""

import json
from collections.abc import Iterator
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import quote

from service.kit.errors import DefinitionInvalid, Violation
from service.kit.json_values import escape_pointer, join_pointer
from service.schema import field_tree
from service.schema.compile import compile as compile_schema
from service.schema.explain import beyond_int64
from service.schema.sentences import snake_case
from service.schema.subschemas import REFERENCES, Subschemas, collect
from service.schema.validators import DIALECT, META, build, pattern_fault

MAXIMUM_EVALUATIONS = 10_000
MAXIMUM_CHAIN = 100


def _reference_faults(subschemas: Subschemas) -> Iterator[Violation]:
    """Yield what is wrong with `$id`, `$ref`, `$dynamicRef` and anchors; empty when all can be followed."""
    yield from _foreign_names(subschemas)
    yield from _dead_ends(subschemas)
    yield from _repeated_anchors(subschemas)
    yield from _circles(subschemas)


def _foreign_names(subschemas: Subschemas) -> Iterator[Violation]:
    for pointer, schema in subschemas.schemas.items():
        name = schema.get("$id") if isinstance(schema, dict) else None
        if name is None:
            continue
        if pointer:
            detail = (
                "only the whole schema may have a `$id`: leave this one out and refer to it by `#/$defs/…`"
            )
            yield Violation(detail, "id", pointer + "/$id")
        elif not str(name).lower().startswith(("https://", "http://", "urn:")):
            yield Violation("`$id` must be an https, http or urn address", "id", "/$id")


def _dead_ends(subschemas: Subschemas) -> Iterator[Violation]:
    for pointer, keyword in subschemas.unresolved:
        schema = subschemas.schemas[pointer]
        reference = str(schema[keyword]) if isinstance(schema, dict) else ""
        if reference.startswith("#"):
            detail = f"`{reference[:80]}` leads to no subschema of this schema"
            yield Violation(detail, "ref", pointer + escape_pointer(keyword))
        else:
            detail = (
                f"`{reference[:80]}` is outside this schema, and Sheaf fetches none: copy it into `$defs`"
            )
            yield Violation(
                detail, "ref", pointer + escape_pointer(keyword), hint="Refer to it by `#/$defs/…`"
            )


def _repeated_anchors(subschemas: Subschemas) -> Iterator[Violation]:
    known: set[str] = set()
    for pointer, schema in subschemas.schemas.items():
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = schema.get(keyword) if isinstance(schema, dict) else None
            if isinstance(name, str) and name in known:
                yield Violation(
                    f"there are two anchors `{name[:80]}`", "anchor", pointer + escape_pointer(keyword)
                )
            known.add(str(name))


def _circles(subschemas: Subschemas) -> Iterator[Violation]:
    graph = {pointer: set(subschemas.in_place(pointer)) for pointer in subschemas.schemas}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pointer = _referring(subschemas, error.args[1])
        yield Violation("the reference leads back to the same place without end", "ref", pointer)
        return
    count: dict[str, int] = {}
    chain: dict[str, int] = {}
    for pointer in order:
        targets = list(subschemas.in_place(pointer))
        count[pointer] = 1 + sum(count[target] for target in targets)
        chain[pointer] = 1 + max((chain[target] for target in targets), default=0)
        if count[pointer] > MAXIMUM_EVALUATIONS or chain[pointer] > MAXIMUM_CHAIN:
            detail = (
                f"more than {MAXIMUM_EVALUATIONS} subschemas, or {MAXIMUM_CHAIN} within each other, "
                "judge the same value: simplify"
            )
            yield Violation(detail, "too_complex", pointer)
            return


def _referring(subschemas: Subschemas, circle: list[str]) -> str:
    for pointer in reversed(circle):
        for step in subschemas.steps[pointer]:
            if step.keyword in REFERENCES and step.target in circle:
                return pointer + escape_pointer(step.keyword)
    return circle[0]


MAXIMUM_BYTES = 64 * 1024
MAXIMUM_DEPTH = 100
MAXIMUM_SUBSCHEMAS = 2000
MAXIMUM_PATTERNS = 100
MAXIMUM_NAME_BYTES = 255

_DIALECTS = (DIALECT, DIALECT + "#")
_EMBEDDED = "urn:sheaf:schema"


def check(schema: Any) -> None:
    """Refuse a schema that Sheaf cannot keep: DefinitionInvalid, whose `errors` point into the schema.

    It must be an object of JSON Schema 2020-12 whose root has `"type": "object"`, refer only to itself, be
    bounded in size, depth and cost, have names that can be stored, patterns that run in linear time and
    defaults that it accepts itself. Nothing is ever fetched.
    """
    faults = list(_unreadable(schema))
    if not faults:
        subschemas = collect(schema, MAXIMUM_SUBSCHEMAS + 1)
        faults = list(_faults(schema, subschemas)) or list(_uncompilable(schema, subschemas))
    if faults:
        raise DefinitionInvalid(_summary(faults), errors=faults)


def _summary(faults: list[Violation]) -> str:
    if len(faults) == 1:
        return f"The schema is invalid: {faults[0].detail}"
    return f"The schema is invalid in {len(faults)} places"


def _unreadable(schema: Any) -> Iterator[Violation]:
    """Yield what makes it unsafe to look any closer."""
    if not isinstance(schema, dict):
        yield Violation("the schema must be a JSON object", "type", "")
    elif _is_deeper(schema, MAXIMUM_DEPTH):
        yield Violation(f"the schema is nested deeper than {MAXIMUM_DEPTH} levels", "too_deep", "")
    elif len(json.dumps(schema, ensure_ascii=False).encode(errors="replace")) > MAXIMUM_BYTES:
        yield Violation(f"the schema is larger than {MAXIMUM_BYTES // 1024} KiB of JSON", "too_large", "")
    else:
        yield from (replace(each, hint=None) for each in beyond_int64(schema))


def _is_deeper(value: Any, maximum: int) -> bool:
    level = [value]
    for _ in range(maximum + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _faults(schema: dict[str, Any], subschemas: Subschemas) -> Iterator[Violation]:
    if len(subschemas.schemas) > MAXIMUM_SUBSCHEMAS:
        yield Violation(f"the schema has more than {MAXIMUM_SUBSCHEMAS} subschemas", "too_complex", "")
        return
    if schema.get("type") != "object":
        detail = 'the root must say `"type": "object"`: documents are objects'
        yield Violation(detail, "type", "/type" if "type" in schema else "")
    yield from _foreign_dialects(subschemas)
    yield from _meta_faults(schema)
    yield from _reference_faults(subschemas)
    yield from _pattern_faults(subschemas)
    yield from _name_faults(subschemas)


def _foreign_dialects(subschemas: Subschemas) -> Iterator[Violation]:
    for pointer, schema in subschemas.schemas.items():
        if isinstance(schema, dict) and schema.get("$schema", DIALECT) not in _DIALECTS:
            yield Violation(f"`$schema` must be {DIALECT}, or be left out", "schema", pointer + "/$schema")


def _meta_faults(schema: dict[str, Any]) -> Iterator[Violation]:
    known: set[tuple[str, str]] = set()  # each vocabulary of the meta-schema says the same again
    for error in META.iter_errors(schema):
        pointer, keyword = (
            join_pointer(error.instance_path),
            str(error.instance_path[-1] if error.instance_path else ""),
        )
        if (pointer, error.kind.name) in known or error.kind.name == "format":
            continue
        known.add((pointer, error.kind.name))
        detail = f"`{keyword[:80]}` has a value that JSON Schema does not allow there: {error.message[:120]}"
        yield Violation(detail, snake_case(error.kind.name), pointer)


def _pattern_faults(subschemas: Subschemas) -> Iterator[Violation]:
    patterns = list(_patterns(subschemas))
    if len(patterns) > MAXIMUM_PATTERNS:
        yield Violation(f"the schema has more than {MAXIMUM_PATTERNS} patterns", "too_complex", "")
        return
    for pointer, pattern in patterns:
        if (fault := pattern_fault(pattern)) is not None:
            yield Violation(f"the pattern `{pattern[:80]}` {fault}", "pattern", pointer)


def _patterns(subschemas: Subschemas) -> Iterator[tuple[str, str]]:
    for pointer, schema in subschemas.schemas.items():
        if isinstance(schema, dict):
            if isinstance(pattern := schema.get("pattern"), str):
                yield pointer + "/pattern", pattern
            if isinstance(members := schema.get("patternProperties"), dict):
                for name in members:
                    yield f"{pointer}/patternProperties{escape_pointer(name)}", name


def _name_faults(subschemas: Subschemas) -> Iterator[Violation]:
    at_root = _root_place(subschemas)
    for pointer, schema in subschemas.schemas.items():
        for place, name in _names(schema):
            if (detail := name_fault(name)) is not None:
                yield Violation(detail, "name", pointer + place)
            elif name == "id" and pointer in at_root:
                detail = "`id` is the document's own id and is always there"
                hint = "Leave it out; `id_type` in the options says what ids are"
                yield Violation(detail, "name", pointer + place, hint=hint)


def _names(schema: dict[str, Any] | bool) -> Iterator[tuple[str, str]]:
    if not isinstance(schema, dict):
        return
    members = declared if isinstance(declared := schema.get("properties"), dict) else {}
    for name in members:
        yield f"/properties{escape_pointer(name)}", name
    if isinstance(required := schema.get("required"), list):
        for index, name in enumerate(required):
            if isinstance(name, str) and name not in members:
                yield f"/required/{index}", name


def name_fault(name: str) -> str | None:
    """Say why a member cannot have this name, None when it can.

    >>> name_fault("price") is None, name_fault("a.b")
    (True, 'the name `a.b` contains a dot')
    """
    if not name:
        return "a name may not be empty"
    shown = f"the name `{name[:80]}`"
    if name[0] in "_$":
        return f"{shown} begins with `{name[0]}`, which is kept for the system"
    if "." in name:
        return f"{shown} contains a dot"
    if "\0" in name:
        return "a name may not contain NUL"
    if len(name.encode(errors="replace")) > MAXIMUM_NAME_BYTES:
        return f"{shown}… is longer than {MAXIMUM_NAME_BYTES} bytes"
    return None


def _root_place(subschemas: Subschemas) -> set[str]:
    found: set[str] = set()
    waiting = [""]
    while waiting:
        if (pointer := waiting.pop()) not in found:
            found.add(pointer)
            waiting.extend(subschemas.in_place(pointer))
    return found


def _uncompilable(schema: dict[str, Any], subschemas: Subschemas) -> Iterator[Violation]:
    try:
        build(schema)
    except ValueError as error:
        yield Violation(f"the schema cannot be compiled: {str(error).splitlines()[0][:120]}", "schema", "")
        return
    compile_schema(schema)
    yield from field_tree.target_faults(subschemas)
    yield from _refused_defaults(schema, subschemas)


def _refused_defaults(schema: dict[str, Any], subschemas: Subschemas) -> Iterator[Violation]:
    defaults = [
        (pointer, part["default"])
        for pointer, part in subschemas.schemas.items()
        if isinstance(part, dict) and "default" in part
    ]
    if not defaults:
        return
    # One validator for all of them: the schema embedded, and a place for each default with its subschema.
    judge = build(
        {
            "$defs": {"schema": {**schema, "$id": _EMBEDDED}},
            "prefixItems": [{"$ref": f"{_EMBEDDED}#{quote(pointer)}"} for pointer, _ in defaults],
        }
    )
    refused = {int(error.instance_path[0]) for error in judge.iter_errors([value for _, value in defaults])}
    for index in sorted(refused):
        detail = "the default is not a value that its own schema accepts"
        yield Violation(detail, "default", defaults[index][0] + "/default")
