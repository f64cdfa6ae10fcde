"""The stage `match`: the client's filter grammar, with parameters in the place of values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.kit.errors import ParameterInvalid, Violation, suggestion
from service.query import parse_filter, to_mongo
from service.query.fields import Field
from service.query.problems import shown
from service.saved_queries.faults import Faults
from service.saved_queries.parameters import Parameters
from service.saved_queries.values import Later
from service.schema.pointers import escape


@dataclass(frozen=True, slots=True)
class _Use:
    """Where a filter has a parameter in the place of a value: a pointer, and the parameter's name."""

    pointer: str
    name: str


def read_match(faults: Faults, parameters: Parameters, value: Any, root: Field, pointer: str) -> Any:
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
        try:
            compiled = to_mongo(_parse(value, uses, given, root))
        except ParameterInvalid as failure:
            for each in failure.errors:
                faults.add(each.detail, each.code, pointer + (each.pointer or ""), each.hint)
            return {}
    if not uses:
        return compiled
    return Later(lambda values: to_mongo(_parse(value, uses, values.json, root)))


def _parse(value: Any, uses: list[_Use], given: Mapping[str, Any], root: Field) -> Any:
    """Read a filter with parameters' values in it; what they make wrong is said of them."""
    try:
        return parse_filter(_bound(value, given), root)
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
            yield from _uses(part, pointer + escape(name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _uses(part, pointer + escape(index))


def _bound(value: Any, given: Mapping[str, Any]) -> Any:
    """Give a filter with parameters' values, which are scalars or arrays of them, and so never operators."""
    if _is_use(value):
        return given[value["param"]]
    if isinstance(value, dict):
        return {name: _bound(part, given) for name, part in value.items()}
    if isinstance(value, list):
        return [_bound(part, given) for part in value]
    return value
