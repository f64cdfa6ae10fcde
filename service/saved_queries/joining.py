"""The stage `lookup`: documents of another collection, by references to their ids, under that one's rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.base import SYSTEM_FIELDS
from service.kit.errors import suggestion
from service.kit.violations import Violations, shown
from service.query.expansions import target_of
from service.query.fields import Field
from service.query.kinds import Kind
from service.saved_queries.limits import MAXIMUM_JOINED, MAXIMUM_MEMBERS
from service.saved_queries.parameters import Later
from service.saved_queries.shapes import ANYTHING, Shape, stored
from service.schema.check import name_fault

MEMBERS = ("field", "as", "fields")
_CONVERTED = {Kind.OBJECT_ID: "objectId", Kind.INTEGER: "long"}
"""What text that refers to an id becomes, by the kind of the id."""


@dataclass(frozen=True, slots=True)
class Join:
    """A compiled `lookup`: the collection it reads, the member it makes, what that is, MongoDB's stages."""

    collection: str
    name: str
    field: Field
    stages: list[dict[str, Any]]


def read_lookup(
    faults: Violations, value: Any, shape: Shape, fields_of: Callable[[str], Field | None], pointer: str
) -> Join | None:
    """Compile `{"field": reference, "as": name, "fields": [names of the other collection]}`.

    The collection is the one that the schema's `x-collection` names at the reference. The other documents are
    narrowed, before anything else, by what each run's Values give for it.
    """
    if not faults.members(value, MEMBERS, pointer, "`lookup`"):
        return None
    found = shape.find(value["field"]) if isinstance(value.get("field"), str) else None
    target = None if found is None else _target(found[1])
    if found is None or target is None:
        said = shown(str(value.get("field")))
        detail = f"`{said}` is not a reference: a field whose schema has `x-collection`"
        faults.add(detail, "type", f"{pointer}/field")
        return None
    name = value.get("as")
    fault = name_fault(name) if isinstance(name, str) else "`as` is the name of the member to make"
    if fault is not None or name == "id":
        faults.add(fault or "`id` is the document's own", "name", f"{pointer}/as")
    path, reference = found
    known = fields_of(target)
    fields = _fields(faults, value.get("fields"), known, f"{pointer}/fields")
    is_list = Kind.ARRAY in reference.kinds
    read = _reading(faults, f"${path}", reference, known, f"{pointer}/field")
    joined = Field(frozenset({Kind.OBJECT, Kind.NULL}), fields=fields)
    field = Field(frozenset({Kind.ARRAY}), items=joined) if is_list else joined
    return Join(target, str(name), field, _stages(read, target, str(name), fields, is_list=is_list))


def _target(field: Field) -> str | None:
    """Return the collection of a reference, alone or in an array, also of one reached through an array."""
    return target_of(field) if field.items is None else target_of(field.items) or target_of(field)


def _fields(faults: Violations, names: Any, known: Field | None, pointer: str) -> dict[str, Field]:
    if not isinstance(names, list) or not 1 <= len(names) <= MAXIMUM_MEMBERS:
        faults.add(f"`fields` is an array of 1 to {MAXIMUM_MEMBERS} names", "type", pointer)
        return {}
    fields: dict[str, Field] = {}
    for index, name in enumerate(names):
        at = f"{pointer}/{index}"
        if not isinstance(name, str) or (name_fault(name) and name not in SYSTEM_FIELDS):
            faults.add("it is not the name of a field", "name", at)
            continue
        found = ANYTHING if known is None else known.resolve((name,))
        if found is None:
            hint = suggestion(name[:64], known.names()) if known is not None else None
            faults.add(f"there is no field `{shown(name)}`", "unknown_field", at, hint)
            continue
        fields[name] = found
    return fields


def _reading(faults: Violations, path: str, reference: Field, known: Field | None, pointer: str) -> Any:
    """Return an expression for the ids that a reference names: text is turned into the kind that ids have."""
    is_list = Kind.ARRAY in reference.kinds
    element = reference.items or ANYTHING if is_list else reference
    kinds = element.kinds if element.items is None else element.kinds | element.items.kinds
    ids = frozenset() if known is None else known.fields["id"].kinds
    if known is None or kinds & ids or (Kind.INTEGER in ids and kinds & {Kind.NUMBER, Kind.INT64}):
        return path
    kind = next(iter(ids & _CONVERTED.keys()), None)
    if Kind.STRING not in kinds or kind is None:
        detail = f"the ids that it refers to are of the kind {', '.join(sorted(ids))}, and its values are not"
        faults.add(detail, "type", pointer, "Give the field's schema the `format` of those ids.")
        return path
    if not is_list:
        return _converted(path, kind)
    array = {"$cond": [{"$isArray": [path]}, path, []]}
    return {"$map": {"input": array, "in": _converted("$$this", kind)}}


def _converted(value: str, kind: Kind) -> dict[str, Any]:
    return {"$convert": {"input": value, "to": _CONVERTED[kind], "onError": None, "onNull": None}}


def _stages(
    read: Any, target: str, name: str, fields: dict[str, Field], *, is_list: bool
) -> list[dict[str, Any]]:
    """Return the stages; the new member holds first the ids and then what they lead to."""
    chosen = {"$replaceWith": {each: f"${stored((each,))}" for each in fields}}
    lookup = {
        "from": target,
        "localField": name,
        "foreignField": "_id",
        "pipeline": Later(lambda values: [*values.narrowing[target], {"$limit": MAXIMUM_JOINED}, chosen]),
        "as": name,
    }
    stages: list[dict[str, Any]] = [{"$set": {name: read}}, {"$lookup": lookup}]
    return stages if is_list else [*stages, {"$set": {name: {"$ifNull": [{"$first": f"${name}"}, None]}}}]
