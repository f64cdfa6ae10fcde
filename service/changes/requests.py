"""What a client asks to be told: the parameters of a live list, of a live document, of polling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.access.principals import Principal
from service.changes import interests
from service.changes.interests import Interest
from service.collections.registry import Collection, Registry
from service.documents import visibility
from service.documents.access import Access
from service.kit.errors import CollectionNotFound, ParameterInvalid
from service.kit.violations import Violations, at, shown
from service.query import ListQuery, parse_list
from service.query.parse import BRACKET, parse_query
from service.query.tree import Compare, Elem, Node, Not

SNAPSHOTS = ("all", "none")

OF_LISTS: Mapping[str, str] = {
    "sort": "A live list is a set: sort what you hold.",
    "page": "A live list has no pages: all that matches is told.",
    "limit": "A live list has no pages: all that matches is told.",
    "cursor": "To go on where a stream ended, send `since` or the header Last-Event-ID.",
    "count": "Count what you hold.",
    "expand": "Subscribe to what is referred to as well.",
    "q": "Use `filter`: a text index cannot say what one change is to a search.",
}
"""The parameters of lists that mean nothing here, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks to be told: of which documents, from where on, and the rest of its parameters."""

    interest: Interest
    since: str | None
    has_snapshot: bool
    given: Mapping[str, str]


def of_list(access: Access, parameters: Sequence[tuple[str, str]], others: Sequence[str] = ()) -> Asked:
    """Read the parameters of a live list: `filter`, `fields`, `since`, `snapshot`, and `others` as they are.

    Raises ParameterInvalid with every violation, SignInRequired, Forbidden.
    """
    query, given = _read(access, parameters, ("since", "snapshot", *others))
    return Asked(interests.of_list(access, query), given.get("since"), given.get("snapshot") != "none", given)


def of_document(access: Access, document_id: object, parameters: Sequence[tuple[str, str]]) -> Asked:
    """Read the parameters of a live document: `fields`, `since`, `snapshot`; raises as `of_list`."""
    query, given = _read(access, parameters, ("since", "snapshot"), is_of_one=True)
    interest = interests.of_document(access, document_id, query)
    return Asked(interest, given.get("since"), given.get("snapshot") != "none", given)


MEMBERS = ("collection", "filter", "fields", "since", "snapshot")
"""The members of a subscription of a stream of several."""


def of_subscription(registry: Registry, principal: Principal, asked: object) -> Asked:
    """Read a subscription of a stream of several; raises as `of_list`, and CollectionNotFound."""
    violations = Violations()
    if not isinstance(asked, Mapping):
        violations.add("a subscription is an object", "type", "")
        raise violations.failure(ParameterInvalid)
    for name in asked.keys() - {*MEMBERS}:
        hint = OF_LISTS.get(name) or violations.suggest(name, MEMBERS)
        violations.add(f"`{shown(name)}` is not a member of a subscription", "unknown", at("", name), hint)
    name, since = asked.get("collection"), asked.get("since")
    if not isinstance(name, str):
        code = "type" if "collection" in asked else "required"
        violations.add("`collection` is the name of a collection", code, "/collection")
    if "since" in asked and not isinstance(since, str):
        violations.add("`since` is a cursor", "type", "/since")
    if asked.get("snapshot", "all") not in SNAPSHOTS:
        violations.add("`snapshot` is `all` or `none`", "enum", "/snapshot")
    if not isinstance(name, str):
        raise violations.failure(ParameterInvalid, SEVERAL)
    access = Access(_collection(registry, name), principal)
    fields = visibility.fields_of(access.collection, access.permit("watch"))
    parts = {part: asked[part] for part in ("filter", "fields") if part in asked}
    query = violations.read(lambda: parse_query(parts, fields)) or ListQuery()
    _check_near(violations, query.where, pointer="/filter")
    violations.raise_if_any(ParameterInvalid, SEVERAL)
    interest = interests.of_list(access, query)
    has_snapshot = asked.get("snapshot") != "none"
    return Asked(interest, since if isinstance(since, str) else None, has_snapshot, {})


SEVERAL = "parts of the subscription are invalid"


def _collection(registry: Registry, name: str) -> Collection:
    try:
        return registry.get(name)
    except CollectionNotFound as failure:
        raise failure.below("/collection") from None


def _read(
    access: Access,
    parameters: Sequence[tuple[str, str]],
    own: Sequence[str],
    *,
    is_of_one: bool = False,
) -> tuple[ListQuery, dict[str, str]]:
    fields = visibility.fields_of(access.collection, access.permit("watch"))
    violations = Violations()
    given: dict[str, str] = {}
    left: list[tuple[str, str]] = []
    for name, text in parameters:
        if name in given:
            violations.add(f"`{name}` is given twice", "repeated", parameter=name)
        elif name in own:
            given[name] = text
        elif name in OF_LISTS:
            violations.add(
                f"`{name}` is not for live lists", "unknown_parameter", hint=OF_LISTS[name], parameter=name
            )
        elif is_of_one and (name == "filter" or name.startswith(BRACKET)):
            violations.add("one document has no filter", "unknown_parameter", parameter=name)
        else:
            left.append((name, text))
    if given.get("snapshot", "all") not in SNAPSHOTS:
        violations.add("`snapshot` is `all` or `none`", "enum", parameter="snapshot")
    query = ListQuery()
    try:
        query = parse_list(left, fields)
    except ParameterInvalid as failure:
        violations.extend(failure.errors)
    _check_near(violations, query.where, parameter="filter")
    violations.raise_if_any(ParameterInvalid, "parameters are invalid")
    return query, given


def _check_near(
    violations: Violations, where: Node | None, *, pointer: str | None = None, parameter: str | None = None
) -> None:
    if where is not None and _uses_near(where):
        hint = "Use `within`."
        violations.add("`near` is not for live lists", "operator", pointer, hint, parameter=parameter)


def _uses_near(node: Node) -> bool:
    match node:
        case Compare(_, name, _):
            return name == "near"
        case Elem(_, condition):
            return _uses_near(condition)
        case Not(part):
            return _uses_near(part)
    return any(map(_uses_near, node.parts))
