"""The ways in which documents cross the wire, and what becomes of a schema's keywords in each."""

from dataclasses import dataclass
from typing import Any, Literal

from service.http.contract.annotations import Annotations

Schema = dict[str, Any]
Sort = Literal["hidden", "fixed", "given"]


@dataclass(frozen=True, slots=True)
class View:
    """One way: `name` ends the names of its schemas.

    Members of the sort `absent` are not there, those of the sorts `optional` need not be. `is_read` is what
    the service sends, `is_partial` without any promise that a member is there, `is_patch` a merge patch
    (RFC 7396), whose null removes.
    """

    name: str
    absent: Sort | None = None
    optional: tuple[Sort, ...] = ()
    is_read: bool = False
    is_partial: bool = False
    is_patch: bool = False

    @property
    def of_elements(self) -> "View":
        """Return the view of what an array holds: a patch replaces arrays as wholes."""
        return REPLACE if self.is_patch else self


DOCUMENT = View("Document", absent="hidden", optional=("hidden",), is_read=True)
PART = View("Part", absent="hidden", optional=("hidden",), is_read=True, is_partial=True)
CREATE = View("Create", absent="fixed", optional=("fixed", "given"))
REPLACE = View("Replace", optional=("fixed", "hidden"))
PATCH = View("Patch", is_partial=True, is_patch=True)


def concerned(view: View, annotations: Annotations) -> frozenset[str]:
    """Return the pointers at or below which a view differs from the schema as it was written."""
    pointers = {
        pointer
        for sort in (*view.optional, *([view.absent] if view.absent else []))
        for pointer in pointers_of(sort, annotations)
    }
    if view.is_read:
        pointers |= set(annotations.kinds)
    return annotations.leading_to(pointers)


def pointers_of(sort: Sort, annotations: Annotations) -> frozenset[str]:
    """Return the pointers of the subschemas of a sort."""
    pointers: frozenset[str] = getattr(annotations, sort)
    return pointers


EXPANDED: Schema = {
    "_expanded": {
        "type": "object",
        "description": "The documents that `expand` asked for, by their references.",
    }
}
"""The member that has what references lead to, in each object that holds some."""

_CONDITIONAL = ("not", "if", "then", "else", "dependentSchemas", "dependentRequired")
_COUNTING = ("minProperties", "contains", "minContains", "maxContains", "uniqueItems")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_OF_OBJECTS = ("required", "maxProperties", "propertyNames")
_VALUES = ("const", "enum")


def loosen(schema: Schema) -> Schema:
    """Return a schema without what absent members, or another spelling of values, could make untrue."""
    left_out = (*_CONDITIONAL, *_COUNTING, *_UNEVALUATED)
    written = {name: part for name, part in schema.items() if name not in left_out}
    return _with_any_of({name: part for name, part in written.items() if not _holds_containers(name, part)})


def loosen_for_parts(schema: Schema) -> Schema:
    """Return a schema that promises no member and demands no number of them."""
    return {name: part for name, part in loosen(schema).items() if name != "required"}


def loosen_for_patches(schema: Schema) -> Schema:
    """Return a schema of what changes an object: nothing need be there, and null removes."""
    written = {name: part for name, part in loosen(schema).items() if name not in _OF_OBJECTS}
    if written.get("additionalProperties") is False:
        del written["additionalProperties"]
    return written


def _holds_containers(keyword: str, part: Any) -> bool:
    if keyword not in _VALUES:
        return False
    values = part if keyword == "enum" else [part]
    return any(isinstance(value, dict | list) for value in values)


def _with_any_of(schema: Schema) -> Schema:
    """Return alternatives of which several may fit now: `oneOf` as `anyOf`."""
    if "oneOf" not in schema:
        return schema
    alternatives = {"anyOf": schema["oneOf"]}
    others = {name: part for name, part in schema.items() if name != "oneOf"}
    if "anyOf" not in others:
        return {**others, **alternatives}
    return {**others, "allOf": [*others.get("allOf", ()), alternatives]}


def nullable(schema: Schema | bool) -> Schema | bool:
    """Return the schema of a value that may be null too.

    >>> nullable({"type": "string"}), nullable({"$ref": "#/x"})
    ({'type': ['string', 'null']}, {'anyOf': [{'$ref': '#/x'}, {'type': 'null'}]})
    """
    if schema is True or schema == {}:
        return schema
    if schema is False:
        return {"type": "null"}
    stated = schema.get("type") if isinstance(schema, dict) else None
    is_plain = isinstance(schema, dict) and not schema.keys() & _COMBINING
    if is_plain and isinstance(schema, dict) and stated is not None:
        types = [stated] if isinstance(stated, str) else stated
        return {**schema, "type": [*types, *(["null"] if "null" not in types else [])]}
    return {"anyOf": [schema, {"type": "null"}]}


_COMBINING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "const", "enum"})
