"""The stage `lookup`: documents of another collection, by a reference to their id, under that one's rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.errors import suggestion
from service.query.expansions import target_of
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.problems import shown
from service.saved_queries.faults import Faults
from service.saved_queries.limits import MAXIMUM_JOINED, MAXIMUM_MEMBERS
from service.saved_queries.shapes import ANYTHING, Shape, stored
from service.saved_queries.values import Later
from service.schema.check import name_fault

MEMBERS = ("field", "as", "fields")


@dataclass(frozen=True, slots=True)
class Join:
    """A compiled `lookup`: the collection it reads, the member it makes, what that is, MongoDB's stages."""

    collection: str
    name: str
    field: Field
    stages: list[dict[str, Any]]


def read_lookup(
    faults: Faults, value: Any, shape: Shape, fields_of: Callable[[str], Field | None], pointer: str
) -> Join | None:
    """Compile `{"field": reference, "as": name, "fields": [names of the other collection]}`.

    The collection is the one that the schema's `x-collection` names at the reference. The other documents are
    narrowed, before anything else, by what each run's Values give for it.
    """
    if not faults.members(value, MEMBERS, pointer, "`lookup`"):
        return None
    found = shape.find(value["field"]) if isinstance(value.get("field"), str) else None
    target = None if found is None else target_of(found[1])
    if found is None or target is None:
        said = shown(str(value.get("field")))
        detail = f"`{said}` is not a reference: a field whose schema has `x-collection`"
        faults.add(detail, "type", f"{pointer}/field")
        return None
    name = value.get("as")
    fault = name_fault(name) if isinstance(name, str) else "`as` is the name of the member to make"
    if fault is not None or name == "id":
        faults.add(fault or "`id` is the document's own", "name", f"{pointer}/as")
    fields = _fields(faults, value.get("fields"), fields_of(target), f"{pointer}/fields")
    if fields is None:
        return None
    path, reference = found
    joined = Field(frozenset({Kind.OBJECT, Kind.NULL}), fields=fields)
    is_list = Kind.ARRAY in reference.kinds
    field = Field(frozenset({Kind.ARRAY}), items=joined) if is_list else joined
    return Join(target, str(name), field, _stages(path, target, str(name), fields, is_list=is_list))


def _fields(faults: Faults, names: Any, known: Field | None, pointer: str) -> dict[str, Field] | None:
    if not isinstance(names, list) or not 1 <= len(names) <= MAXIMUM_MEMBERS:
        faults.add(f"`fields` is an array of 1 to {MAXIMUM_MEMBERS} names", "type", pointer)
        return None
    fields: dict[str, Field] = {}
    for index, name in enumerate(names):
        at = f"{pointer}/{index}"
        if not isinstance(name, str) or (name_fault(name) and name not in _SYSTEM):
            faults.add("it is not the name of a field", "name", at)
            return None
        found = ANYTHING if known is None else known.resolve((name,))
        if found is None:
            hint = suggestion(name[:64], known.names()) if known is not None else None
            faults.add(f"there is no field `{shown(name)}`", "unknown_field", at, hint)
            return None
        fields[name] = found
    return fields


_SYSTEM = frozenset({"_version", "_created_at", "_updated_at", "_owner"})


def _stages(
    path: str, target: str, name: str, fields: dict[str, Field], *, is_list: bool
) -> list[dict[str, Any]]:
    chosen = {"$replaceWith": {each: f"${stored((each,))}" for each in fields}}
    lookup = {
        "from": target,
        "localField": path,
        "foreignField": "_id",
        "pipeline": Later(lambda values: [*values.narrowing[target], {"$limit": MAXIMUM_JOINED}, chosen]),
        "as": name,
    }
    if is_list:
        return [{"$lookup": lookup}]
    return [{"$lookup": lookup}, {"$set": {name: {"$ifNull": [{"$first": f"${name}"}, None]}}}]
