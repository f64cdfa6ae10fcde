"""The stages of a pipeline: each read from the definition into MongoDB's, with the shape that it leaves."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from models.base import SYSTEM_FIELDS
from service.kit.errors import ParameterInvalid, Violation, suggestion
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations, shown
from service.query import parse_filter, to_mongo
from service.query.expansions import target_of
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.mongo import sort_keys
from service.query.ordering import read_sort
from service.query.parameters import Problems
from service.saved_queries.expressions import ExpressionReader
from service.saved_queries.functions import one_of
from service.saved_queries.grouping import read_group
from service.saved_queries.limits import (
    MAXIMUM_JOINED,
    MAXIMUM_LOOKUPS,
    MAXIMUM_MEMBERS,
    MAXIMUM_RESULTS,
    MAXIMUM_SKIPPED,
    MAXIMUM_STAGES,
)
from service.saved_queries.parameters import Later, Parameters
from service.saved_queries.shapes import ANYTHING, Shape, of_members, stored, with_member
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


def read_number(
    faults: Violations, parameters: Parameters, value: Any, pointer: str, bounds: tuple[int, int]
) -> Any:
    """Read a whole number within bounds, or `{"param": name}` of an integer that is, when the query runs."""
    least, most = bounds
    if type(value) is int and least <= value <= most:
        return value
    if not isinstance(value, dict) or value.keys() != {"param"}:
        faults.add(f"it is not a whole number from {least} to {most}", "range", pointer)
        return least
    name = value["param"]
    field = parameters.field(name) if isinstance(name, str) else None
    if field is None:
        detail = f"the query has no parameter `{shown(str(name))}`"
        faults.add(detail, "unknown_parameter", f"{pointer}/param")
    elif field.kinds != {Kind.INTEGER}:
        detail = f'the parameter `{name}` is not of the type "integer"'
        faults.add(detail, "type", f"{pointer}/param")
    return Later(lambda values: _within(name, values.json[name], least, most))


def _within(name: str, number: Any, least: int, most: int) -> int:
    if not least <= number <= most:
        violation = Violation(f"`{name}` goes from {least} to {most}", "range", parameter=name)
        raise ParameterInvalid(violation.detail, errors=[violation])
    return int(number)


@dataclass(frozen=True, slots=True)
class _Use:
    """Where a filter has a parameter in the place of a value: a pointer, and the parameter's name."""

    pointer: str
    name: str


def read_match(faults: Violations, parameters: Parameters, value: Any, root: Field, pointer: str) -> Any:
    """Compile a filter over documents with the fields of `root` to what `$match` takes."""
    uses = list(_uses(value))
    unknown = [use for use in uses if use.name not in parameters.schemas]
    for use in unknown:
        hint = suggestion(use.name[:64], parameters.schemas)
        detail = f"the query has no parameter `{shown(use.name)}`"
        faults.add(detail, "unknown_parameter", f"{pointer}{use.pointer}/param", hint)
    if unknown:
        return {}
    samples = {use.name: parameters.samples(use.name) for use in uses}
    for turn in range(max(map(len, samples.values()), default=1)):
        given = {name: each[turn % len(each)] for name, each in samples.items()}
        compiled = faults.read(partial(_compile, value, uses, given, root), pointer)
        if compiled is None:
            return {}
    if not uses:
        return compiled
    return Later(lambda values: _compile(value, uses, values.json, root))


def _compile(value: Any, uses: list[_Use], given: Mapping[str, Any], root: Field) -> Any:
    """Compile a filter with parameters' values in it; what they make wrong is said of them."""
    try:
        return to_mongo(parse_filter(_bound(value, given), root))
    except ParameterInvalid as failure:
        violations = [_of_parameter(each, uses) for each in failure.errors]
        raise ParameterInvalid(violations[0].detail, errors=violations) from None


def _of_parameter(violation: Violation, uses: list[_Use]) -> Violation:
    at = violation.pointer or ""
    names = [use.name for use in uses if use.pointer == at or use.pointer.startswith(f"{at}/")]
    if not names or violation.code == "unknown_field":
        return replace(violation, parameter=None)
    detail = f"the parameter `{names[0]}` does not fit here: {violation.detail}"
    return replace(violation, detail=detail, parameter=names[0])


def _is_use(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"param"} and isinstance(value["param"], str)


def _uses(value: Any, pointer: str = "") -> Iterator[_Use]:
    if _is_use(value):
        yield _Use(pointer, value["param"])
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _uses(part, pointer + escape_pointer(name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _uses(part, pointer + escape_pointer(index))


def _bound(value: Any, given: Mapping[str, Any]) -> Any:
    """Return a filter with its parameters' values: scalars or arrays of them, never operators."""
    if _is_use(value):
        return given[value["param"]]
    if isinstance(value, dict):
        return {name: _bound(part, given) for name, part in value.items()}
    if isinstance(value, list):
        return [_bound(part, given) for part in value]
    return value


Stages: TypeAlias = list[dict[str, Any]]
FieldsOf: TypeAlias = Callable[[str], Field | None]
"""Gives the visible fields of a collection that `lookup` reads, None while they are not known."""

NAMES = ("match", "group", "project", "set", "sort", "limit", "skip", "unwind", "count", "lookup")
_ORDERING = frozenset({"sort", "group", "count"})


class PipelineReader:
    """Reads one query's pipeline from its first stage on, following the shape of the documents."""

    def __init__(self, faults: Violations, parameters: Parameters, shape: Shape, fields_of: FieldsOf) -> None:
        self._faults = faults
        self._parameters = parameters
        self._fields_of = fields_of
        self._expressions = ExpressionReader(faults, parameters)
        self.shape = shape
        self.joins: list[Join] = []

    def read(self, pipeline: Any, pointer: str) -> Stages:
        """Compile a pipeline; `shape` is that of the answer then."""
        if not isinstance(pipeline, list) or not pipeline:
            self._faults.add("a pipeline is an array of stages", "type", pointer)
            return []
        if len(pipeline) > MAXIMUM_STAGES:
            self._faults.add(f"a pipeline has at most {MAXIMUM_STAGES} stages", "too_complex", pointer)
            return []
        compiled: Stages = []
        for index, stage in enumerate(pipeline):
            before = len(self._faults)
            compiled += self._stage(stage, f"{pointer}/{index}")
            if len(self._faults) > before:
                return []  # what the stages after it would find wrong is a consequence
            if _name(stage) == "group" and not _ORDERING & set(map(_name, pipeline[index + 1 :])):
                compiled += self._sorted({})
        return compiled

    def _stage(self, stage: Any, pointer: str) -> Stages:
        name = _name(stage)
        if name is None:
            detail = 'a stage is an object of one member, such as {"match": {"price": {"gt": 10}}}'
            self._faults.add(detail, "type", pointer)
            return []
        if name not in NAMES:
            bare = name.removeprefix("$")
            hint = f"Write `{bare}`, without `$`." if bare in NAMES else suggestion(bare[:64], NAMES)
            self._faults.add(
                f"there is no stage `{shown(name)}`", "unknown_stage", pointer + escape_pointer(name), hint
            )
            return []
        read: Callable[[Any, str], Stages] = getattr(self, f"_{name}")
        return read(stage[name], pointer + escape_pointer(name))

    def _match(self, value: Any, pointer: str) -> Stages:
        return [{"$match": read_match(self._faults, self._parameters, value, self.shape.root, pointer)}]

    def _group(self, value: Any, pointer: str) -> Stages:
        stages, self.shape = read_group(self._faults, self._expressions, value, self.shape, pointer)
        return stages

    def _project(self, value: Any, pointer: str) -> Stages:
        read = self._expressions.named if isinstance(value, list) and value else self._expressions.members
        made = read(value, self.shape, pointer)
        kept = {each.mongo: name for name, each in made.items() if isinstance(each.mongo, str)}
        keys = [kept.get(f"${stored((key,))}") for key in self.shape.keys]
        names = tuple(key for key in keys if key is not None)
        self.shape = of_members(
            {name: each.field for name, each in made.items()}, names if len(names) == len(keys) else ()
        )
        return [{"$replaceWith": {stored((name,)): each.mongo for name, each in made.items()}}]

    def _set(self, value: Any, pointer: str) -> Stages:
        made = self._expressions.members(value, self.shape, pointer)
        root = self.shape.root
        for name, each in made.items():
            root = with_member(root, (name,), each.field)
        is_kept = not made.keys() & set(self.shape.keys)
        self.shape = Shape(root, self.shape.keys if is_kept else ())
        new = {stored((name,)): each.mongo for name, each in made.items()}
        return [{"$replaceWith": {"$mergeObjects": ["$$ROOT", new]}}]

    def _sort(self, value: Any, pointer: str) -> Stages:
        if not isinstance(value, str):
            self._faults.add("`sort` is text such as `-price,name`", "type", pointer)
            return []
        problems = Problems()

        def read() -> dict[str, int]:
            keys = read_sort(problems, self.shape.root, value)
            problems.raise_if_any()
            return dict(sort_keys(keys)[: len(keys)])

        return self._sorted(self._faults.read(read, pointer) or {})

    def _sorted(self, keys: dict[str, int]) -> Stages:
        """Return a sort by keys and then by what tells documents apart: the order is always the same."""
        direction = list(keys.values())[-1] if keys else 1
        for name in self.shape.keys:
            field = self.shape.root.fields.get(name, ANYTHING)
            if Kind.ARRAY not in field.kinds:  # two arrays cannot be sorted by
                keys.setdefault(stored((name,)), direction)
        return [{"$sort": keys}] if keys else []

    def _limit(self, value: Any, pointer: str) -> Stages:
        number = read_number(self._faults, self._parameters, value, pointer, (1, MAXIMUM_RESULTS))
        return [{"$limit": number}]

    def _skip(self, value: Any, pointer: str) -> Stages:
        number = read_number(self._faults, self._parameters, value, pointer, (0, MAXIMUM_SKIPPED))
        return [{"$skip": number}]

    def _count(self, value: Any, pointer: str) -> Stages:
        fault = name_fault(value) if isinstance(value, str) else "`count` is the name of the number"
        if fault is not None:
            self._faults.add(fault, "name", pointer)
            return []
        self.shape = of_members({value: Field(frozenset({Kind.INTEGER}))})
        return [{"$group": {"_id": None, "a0": {"$sum": 1}}}, {"$replaceWith": {stored((value,)): "$a0"}}]

    def _unwind(self, value: Any, pointer: str) -> Stages:
        described = {"field": value} if isinstance(value, str) else value
        if not self._faults.members(described, ("field", "keep_empty"), pointer, "`unwind`"):
            return []
        name, keep_empty = described.get("field"), described.get("keep_empty", False)
        at = pointer if isinstance(value, str) else f"{pointer}/field"
        if not isinstance(keep_empty, bool):
            self._faults.add("`keep_empty` is true or false", "type", f"{pointer}/keep_empty")
        found = self.shape.find(name) if isinstance(name, str) else None
        if found is None:
            self._expressions.path(str(name), self.shape, at)
            return []
        path, field = found
        names = tuple(str(name).split("."))
        holders = [self.shape.root.resolve(names[:length]) or ANYTHING for length in range(1, len(names))]
        if Kind.ARRAY not in field.kinds or any(Kind.ARRAY in holder.kinds for holder in holders):
            hint = "Unwind the array that holds it first." if Kind.ARRAY in field.kinds else None
            self._faults.add(f"`{shown(str(name))}` is not an array", "type", at, hint)
            return []
        element = field.items or ANYTHING
        if field.kinds - {Kind.ARRAY, Kind.NULL}:
            element = one_of([replace(field, kinds=field.kinds - {Kind.ARRAY}, items=None), element])
        self.shape = Shape(with_member(self.shape.root, names, element))
        return [{"$unwind": {"path": f"${path}", "preserveNullAndEmptyArrays": keep_empty}}]

    def _lookup(self, value: Any, pointer: str) -> Stages:
        if len(self.joins) == MAXIMUM_LOOKUPS:
            detail = f"a pipeline has at most {MAXIMUM_LOOKUPS} `lookup` stages"
            self._faults.add(detail, "too_complex", pointer)
            return []
        join = read_lookup(self._faults, value, self.shape, self._fields_of, pointer)
        if join is None:
            return []
        self.joins.append(join)
        is_kept = join.name not in self.shape.keys
        self.shape = Shape(
            with_member(self.shape.root, (join.name,), join.field), self.shape.keys if is_kept else ()
        )
        return join.stages


def _name(stage: Any) -> str | None:
    """Return the name of a stage, None for what is no stage."""
    return next(iter(stage)) if isinstance(stage, dict) and len(stage) == 1 else None
