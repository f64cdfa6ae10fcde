"""From the syntax tree to what MongoDB's driver takes: filters, sort keys, projections."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.kit.errors import ParameterInvalid, Violation
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.operators import OPERATORS, PLACES
from service.query.tree import And, Compare, Elem, Node, Not, Or, Path, Selection, SortKey, on_element

Filter = dict[str, Any]


def to_mongo(node: Node) -> Filter:
    """Build the MongoDB filter of a tree; every value stands below an operator of the operator table.

    ValueError for what no client can have asked for: a path that is empty or has a name that begins with `$`,
    two places in the condition of one element.

    >>> to_mongo(And((Compare(("price",), "gte", 1), Compare(("price",), "lt", 5))))
    {'price': {'$gte': 1, '$lt': 5}}
    >>> to_mongo(Compare(("id",), "ne", 7))
    {'_id': {'$ne': 7}}
    """
    return _filter(node, is_top=True)


def of_document(document_id: Any, where: Node | None) -> Filter:
    """Return the filter for the document of an id, if it fulfils a condition.

    >>> of_document(7, None)
    {'_id': 7}
    """
    by_id: Filter = {"_id": document_id}
    return by_id if where is None else {"$and": [by_id, to_mongo(where)]}


def both(one: Filter, other: Filter) -> Filter:
    """And two filters as `to_mongo` ands the parts of a tree.

    >>> both({"price": {"$gt": 1}}, {"price": {"$lt": 5}})
    {'price': {'$gt': 1, '$lt': 5}}
    """
    return _all([one, other])


def sort_keys(sort: tuple[SortKey, ...]) -> list[tuple[str, int]]:
    """Return the driver's sort, which always ends in `_id`, in the last key's direction: one index serves it.

    >>> sort_keys((SortKey(("price",), is_descending=True),))
    [('price', -1), ('_id', -1)]
    >>> sort_keys(())
    [('_id', 1)]
    """
    keys: list[tuple[str, int]] = []
    for key in sort:
        keys.append((_name(key.path, is_top=True), -1 if key.is_descending else 1))
        if keys[-1][0] == "_id":
            return keys  # ids are unique: nothing after them changes the order
    return [*keys, ("_id", keys[-1][1] if keys else 1)]


def projection(selection: Selection | None) -> dict[str, int] | None:
    """Return the driver's projection; the id always comes along. None selects everything.

    >>> projection(Selection((("name",), ("address", "city"))))
    {'_id': 1, 'name': 1, 'address.city': 1}
    >>> projection(Selection((("description",),), is_exclusion=True))
    {'description': 0}
    """
    if selection is None:
        return None
    names = [_name(path, is_top=True) for path in selection.paths]
    if selection.is_exclusion:
        return dict.fromkeys(names, 0)
    return {"_id": 1} | dict.fromkeys(names, 1)


def _filter(node: Node, *, is_top: bool, is_negated: bool = False) -> Filter:
    def below(part: Node) -> Filter:
        return _filter(part, is_top=is_top, is_negated=is_negated)

    match node:
        case Compare(path, _, _) | Elem(path, _):
            return {_name(path, is_top=is_top): _operator(node, is_negated=is_negated)}
        case And(parts):
            return _all(list(map(below, parts)))
        case Or(()):
            return {"_id": {"$in": []}}  # nothing is in it, whatever a document or an element holds
        case Or(parts):
            return {"$or": list(map(below, parts))}
        case Not(part):
            return {"$nor": [_filter(part, is_top=is_top, is_negated=True)]}


def _operator(node: Compare | Elem, *, is_negated: bool) -> Filter:
    if isinstance(node, Elem):
        return {"$elemMatch": _element(node.condition, is_negated=is_negated)}
    row = OPERATORS[node.operator]
    operator = {row.mongo: row.operand(node.value)}
    # MongoDB fails at a negated `$geoWithin` where the field has an ordinary index, but not at this:
    return {"$not": {"$not": operator}} if is_negated and _stands_alone(operator) else operator


def _element(condition: Node, *, is_negated: bool) -> Filter:
    """Build what `$elemMatch` takes; a second use of an operator goes below a double negation.

    So does `$geoWithin`, which MongoDB takes only alone.
    """
    parts = on_element(condition)
    if sum(map(_is_on_place, parts)) > 1:
        raise ValueError("two places in the condition of one element")
    operators = [_operator(part, is_negated=is_negated) for part in reversed(parts)]
    element: Filter = {}
    for one in sorted(operators, key=_stands_alone, reverse=True):
        clashes = one.keys() & element.keys() or _stands_alone(element)
        element = one | ({"$not": {"$not": element}} if clashes else element)
    return element or _filter(condition, is_top=False, is_negated=is_negated)


def _is_on_place(part: Compare | Elem) -> bool:
    return isinstance(part, Compare) and part.operator in PLACES


def _stands_alone(operators: Filter) -> bool:
    return "$geoWithin" in operators


def _all(filters: list[Filter]) -> Filter:
    """And filters: side by side where their names or operators differ, else in `$and`."""
    merged: Filter = {}
    rest: list[Filter] = []
    for each in filters:
        if not merged.keys() & each.keys():
            merged |= each
        elif _can_join(merged, each):
            ((name, operators),) = each.items()
            merged[name] = merged[name] | operators
        else:
            rest.append(each)
    return {"$and": [merged, *rest]} if rest else merged


def _can_join(merged: Filter, one: Filter) -> bool:
    if len(one) != 1:
        return False
    ((name, operators),) = one.items()
    if name.startswith("$") or _stands_alone(operators) or _stands_alone(merged[name]):
        return False
    return not merged[name].keys() & operators.keys()


def _name(path: Path, *, is_top: bool) -> str:
    if is_top and path == ("id",):
        return "_id"
    name = ".".join(path)
    if not name or "\0" in name or ("$" in name and any(part.startswith("$") for part in path)):
        raise ValueError("not the path of a field")
    return name


VALUE = "?"


def shape_of(condition: Any) -> str:
    """Return a filter without its values; alternatives that are alike are there once.

    >>> shape_of({"$or": [{"a": {"$in": [1, 2]}}, {"a": {"$in": [3]}}], "b": [1]})
    '{$or: [{a: {$in: ?}}], b: ?}'
    """
    if isinstance(condition, Mapping):
        if set(condition) == {"$eq"}:
            return VALUE
        return "{" + ", ".join(sorted(_shape_members(condition))) + "}"
    return VALUE


def _shape_members(condition: Mapping[str, Any]) -> Iterable[str]:
    for name, value in condition.items():
        if name in {"$and", "$or", "$nor"} and isinstance(value, list):
            yield f"{name}: [{', '.join(dict.fromkeys(map(shape_of, value)))}]"
        elif isinstance(value, Mapping) and (name == "$elemMatch" or _is_condition(value)):
            yield f"{name}: {shape_of(value)}"
        else:
            yield f"{name}: {VALUE}"


def _is_condition(value: Mapping[str, Any]) -> bool:
    """Return conditions from a value that is an object, and from what regions and texts are made of."""
    return bool(value) and all(name.startswith("$") for name in value) and not value.keys() & _OPAQUE


_OPAQUE = frozenset({"$geometry", "$search", "$centerSphere", "$box", "$polygon", "$center", "$expr"})


_SUGGESTED_FIELDS = 3


def searched(where: Filter, text: str) -> Filter:
    """And a filter with a search for text; MongoDB takes `$text` at the top of a filter only.

    The text has MongoDB's own small language: words of which one must be there, `"a phrase"` that must be
    there, `-word` that must not.

    >>> searched({"price": {"$gt": 1}}, "oak desk")
    {'$text': {'$search': 'oak desk'}, '$and': [{'price': {'$gt': 1}}]}
    """
    found: Filter = {"$text": {"$search": text}}
    return found | {"$and": [where]} if where else found


def best_first() -> list[tuple[str, Any]]:
    """Return the driver's sort for the best matches first; those that match alike are in the order of ids."""
    return [("score", {"$meta": "textScore"}), ("_id", 1)]


def unsearchable(fields: Field) -> ParameterInvalid:
    """Return the refusal of `q` for a collection without a text index, which names the index to add."""
    names = ", ".join(f'"{name}"' for name in list(_text_fields(fields))[:_SUGGESTED_FIELDS])
    detail = "`q` needs a text index, and this collection has none"
    hint = f'Add the index {{"text": [{names}]}} to the collection.' if names else None
    violation = Violation(detail, "not_indexed", parameter="q", hint=hint)
    return ParameterInvalid(detail, hint=hint, errors=[violation])


def _text_fields(fields: Field) -> Iterator[str]:
    """Yield the names of the fields that clients may see and that hold text, alone or in an array."""
    for name, field in fields.fields.items():
        if name.startswith("_") or name == "id" or field.write_only:
            continue
        items = field.items
        is_list = items is not None and Kind.STRING in items.kinds and not items.write_only
        if Kind.STRING in field.kinds or is_list:
            yield name
