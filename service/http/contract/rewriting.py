"""A collection's schema, rewritten for each view into schemas of the contract that refer to each other."""

from dataclasses import dataclass
from typing import Any

from service.http.contract import formats, schemas, views
from service.http.contract.annotations import Annotations, annotate
from service.http.contract.views import Schema, View
from service.schema.subschemas import IN_PLACE, REFERENCES, Subschemas
from service.schema.validators import build

_SINGLE = frozenset(
    {
        "not", "if", "then", "else", "additionalProperties", "unevaluatedProperties", "propertyNames",
        "items", "unevaluatedItems", "contains",
    }
)  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_ELEMENTS = frozenset({"items", "prefixItems", "unevaluatedItems", "contains"})
_MEMBERS = frozenset({"properties", "patternProperties", "additionalProperties", "unevaluatedProperties"})
_PLAIN = frozenset(
    {
        "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
        "maxLength", "minLength", "maxItems", "minItems", "uniqueItems", "maxContains",
        "minContains", "maxProperties", "minProperties", "required", "dependentRequired", "format",
        "contentEncoding", "contentMediaType", "title", "description", "default", "deprecated", "readOnly",
        "writeOnly", "examples",
    }
)  # fmt: skip
"""Keywords that are kept as they are; others are kept when they begin with `x-`, as OpenAPI asks."""


_CLOSING = frozenset({"additionalProperties", "unevaluatedProperties"})


class Rewriter:
    """Rewrites one collection's schema; `schemas` are those of the contract that came of it, by name."""

    def __init__(self, base: str, subschemas: Subschemas) -> None:
        self.schemas: dict[str, Schema | bool] = {}
        self._base = base
        self._subschemas = subschemas
        self._annotations: Annotations = annotate(subschemas)
        self._children = {
            (pointer, step.keyword, step.name): step.target
            for pointer, steps in subschemas.steps.items()
            for step in steps
        }
        self._patterns = [
            build({"pattern": str(name)})
            for _, keyword, name in self._children
            if keyword == "patternProperties"
        ]
        self._rules: dict[View, _Rules] = {}
        self._waiting: list[tuple[View, str]] = []

    def write(self, view: View, system: dict[str, Schema], required: tuple[str, ...] = ()) -> str:
        """Add the schemas of a view, whose documents have `system` members too; returns the first's name."""
        name = self._base + view.name
        root = self._rewritten(view, "", system)
        if isinstance(root, dict):
            members = root.pop("properties", {})
            demanded = [*required, *root.pop("required", ())]
            root = {"type": "object", **({"required": demanded} if demanded else {}), **root}
            own = {name: part for name, part in members.items() if name not in system}
            root["properties"] = {**system, **own}
        self.schemas[name] = root
        self._write_referred()
        return name

    def write_alone(self, view: View) -> Schema | bool:
        """Return the schema as a view has it, as no document's; adds those that it refers to."""
        written = self._rewritten(view, "", None)
        self._write_referred()
        return written

    def _write_referred(self) -> None:
        while self._waiting:
            next_view, pointer = self._waiting.pop()
            named = self._rules_of(next_view).names[pointer]
            if named not in self.schemas:
                self.schemas[named] = {}  # known from here on, for schemas that refer to themselves
                self.schemas[named] = self._rewritten(next_view, pointer, None)

    def _rules_of(self, view: View) -> "_Rules":
        if view not in self._rules:
            self._rules[view] = _Rules(view, self._annotations, self._base)
        return self._rules[view]

    def _rewritten(
        self, view: View, pointer: str, system: dict[str, Schema] | None, *, is_alternative: bool = False
    ) -> Schema | bool:
        """Rewrite one subschema; `system` are the members that documents have besides, where it is one."""
        schema = self._subschemas.schemas[pointer]
        if isinstance(schema, bool):
            return schema
        here = _Here(view, pointer, system, is_alternative)
        written: Schema = {}
        for keyword, part in schema.items():
            if keyword in REFERENCES:
                self._refer(here, keyword, written)
            elif keyword in _MAPS:
                written[keyword] = self._members(here, keyword, part)
            elif keyword in _LISTS:
                children = [self._child(here, keyword, position) for position in range(len(part))]
                written[keyword] = [*written.get(keyword, ()), *children]
            elif keyword in _SINGLE:
                written[keyword] = self._child(here, keyword, None)
            elif _is_kept(keyword, part):
                written[keyword] = part
        if len(written.get("patternProperties", ())) < len(schema.get("patternProperties", ())):
            written = _without(written, *_CLOSING)
        written = self._rules_of(view).applied(pointer, written)
        if is_alternative and view.is_patch:
            written = _without(written, "additionalProperties")
        return written if system is None else self._with_room(written, system)

    def _refer(self, here: "_Here", keyword: str, written: Schema) -> None:
        target = self._children[here.pointer, keyword, None]
        if here.system is not None:  # at the root the target has other members than elsewhere
            written["allOf"] = [*written.get("allOf", ()), self._rewritten(here.view, target, here.system)]
            return
        self._waiting.append((here.view, target))
        referred = schemas.reference(self._rules_of(here.view).names[target])
        if "$ref" in written:
            written["allOf"] = [*written.get("allOf", ()), referred]
        else:
            written |= referred

    def _members(self, here: "_Here", keyword: str, part: dict[str, Any]) -> Schema:
        """Rewrite the subschemas that have names, but for those that the view does not have."""
        absent = here.view.absent if keyword in _MEMBERS else None
        left_out = views.pointers_of(absent, self._annotations) if absent else frozenset[str]()
        return {
            name: self._child(here, keyword, name)
            for name in part
            if self._children[here.pointer, keyword, name] not in left_out
            and (keyword != "patternProperties" or formats.is_pattern_of_all(name))
        }

    def _child(self, here: "_Here", keyword: str, name: str | int | None) -> Schema | bool:
        view, target = here.view, self._children[here.pointer, keyword, name]
        if keyword in IN_PLACE:
            system = None if keyword == "not" else here.system
            is_alternative = here.is_alternative or keyword != "allOf"
            return self._rewritten(view, target, system, is_alternative=is_alternative)
        if keyword in _ELEMENTS:
            return self._rewritten(view.of_elements, target, None)
        child = self._rewritten(view, target, None)
        if not view.is_patch or keyword not in _MEMBERS:
            return child
        return child if name is None and child is False else views.nullable(child)

    def _with_room(self, schema: Schema, system: dict[str, Any]) -> Schema:
        """Return a schema of whole documents in which the system's members have their place."""
        written = _without(schema, "propertyNames", "const", "enum", "maxProperties")
        if any(pattern.is_valid(name) for pattern in self._patterns for name in system):
            written = _without(written, "patternProperties", *_CLOSING)  # it would judge these members too
        if not _CLOSING & written.keys() or not system:
            return written
        return {**written, "properties": {**dict.fromkeys(system, True), **written.get("properties", {})}}


@dataclass(frozen=True, slots=True)
class _Here:
    """The subschema that is being rewritten, and what it is part of."""

    view: View
    pointer: str
    system: dict[str, Schema] | None
    is_alternative: bool


class _Rules:
    """What one view makes of the schemas of one collection."""

    def __init__(self, view: View, annotations: Annotations, base: str) -> None:
        self.names = schemas.below(base + view.name, annotations.referred())
        self._view = view
        self._annotations = annotations
        self._concerned = views.concerned(view, annotations)
        self._optional = frozenset[str]().union(
            *(annotations.names(views.pointers_of(sort, annotations)) for sort in view.optional)
        )

    def applied(self, pointer: str, schema: Schema) -> Schema:
        """Return a subschema, whose parts are written already, as the view has it."""
        view, written = self._view, schema
        if view.is_patch:
            written = views.loosen_for_patches(written)
        elif view.is_partial:
            written = views.loosen_for_parts(written)
        elif pointer in self._concerned:
            written = views.loosen(written)
        if "required" in written:
            written["required"] = [name for name in written["required"] if name not in self._optional]
            if not written["required"]:
                del written["required"]
        if view.name != views.CREATE.name:
            written.pop("default", None)
        if view.is_read and self._annotations.shows_no_elements(pointer):
            written = {**_without(written, "items", "prefixItems", "minItems"), "maxItems": 0}
        if view is views.PART and self._annotations.holds_references(pointer):
            written["properties"] = {**written.get("properties", {}), **views.EXPANDED}
        kind = self._annotations.kinds.get(pointer)
        if kind is not None and view.is_read:
            return formats.as_read(written, kind)
        return formats.as_written(written, kind) if kind is not None and formats.kind_of(written) else written


def _without(schema: Schema, *keywords: str) -> Schema:
    return {name: part for name, part in schema.items() if name not in keywords}


def _is_kept(keyword: str, part: Any) -> bool:
    if keyword == "pattern":
        return formats.is_pattern_of_all(part)
    return keyword in _PLAIN or keyword.startswith("x-")
