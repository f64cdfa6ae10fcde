"""References of a schema: they stay within it, lead somewhere, and do not run in circles at one place."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from service.kit.errors import Violation
from service.schema.pointers import escape
from service.schema.subschemas import REFERENCES, Subschemas

MAXIMUM_EVALUATIONS = 10_000
MAXIMUM_CHAIN = 100


def faults(subschemas: Subschemas) -> Iterator[Violation]:
    """Give what is wrong with `$id`, `$ref`, `$dynamicRef` and anchors; empty when all can be followed."""
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
            yield Violation(detail, "ref", pointer + escape(keyword))
        else:
            detail = (
                f"`{reference[:80]}` is outside this schema, and Sheaf fetches none: copy it into `$defs`"
            )
            yield Violation(detail, "ref", pointer + escape(keyword), hint="Refer to it by `#/$defs/…`")


def _repeated_anchors(subschemas: Subschemas) -> Iterator[Violation]:
    known: set[str] = set()
    for pointer, schema in subschemas.schemas.items():
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = schema.get(keyword) if isinstance(schema, dict) else None
            if isinstance(name, str) and name in known:
                yield Violation(f"there are two anchors `{name[:80]}`", "anchor", pointer + escape(keyword))
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
                return pointer + escape(step.keyword)
    return circle[0]
