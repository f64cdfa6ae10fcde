"""Whole numbers of stages, which may be parameters."""

from typing import Any

from service.kit.errors import ParameterInvalid, Violation
from service.query.kinds import Kind
from service.query.problems import shown
from service.saved_queries.faults import Faults
from service.saved_queries.parameters import Parameters
from service.saved_queries.values import Later


def read_number(
    faults: Faults, parameters: Parameters, value: Any, pointer: str, bounds: tuple[int, int]
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
