"""Filters in JSON: objects of fields and operators, `and`, `or`, `not`, read into the syntax tree."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.kit.json_values import escape_pointer
from service.kit.violations import shown
from service.query.comparisons import Unfit, compare_json
from service.query.fields import Field, find_field, report_unknown_field
from service.query.geometry import cost
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_CONDITIONS, MAXIMUM_DEPTH, VALUES_OF_A_CONDITION
from service.query.operators import OPERATORS, PLACES, Operator, Takes
from service.query.parameters import Problems
from service.query.tree import EVERYTHING, And, Compare, Elem, Node, Not, Or, Path, all_of


class Place(NamedTuple):
    """Where in a filter we are: an RFC 6901 pointer, and how many levels deep."""

    pointer: str = ""
    depth: int = 1

    def at(self, name: str) -> "Place":
        """Return the place of a member."""
        return Place(self.pointer + escape_pointer(name), self.depth)

    def deeper(self) -> "Place":
        """Return the same place as the top of a filter within the filter."""
        return Place(self.pointer, self.depth + 1)


TOP = Place()


def parse_filter(value: Any, fields: Field, *, parameter: str = "filter") -> Node:
    """Read a filter that is JSON already, such as `{"price": {"gte": 10}}`; `{}` is EVERYTHING.

    Raises ParameterInvalid with every violation, each naming `parameter` and a pointer within the filter.
    """
    problems = Problems()
    node = FilterReader(problems, parameter).read(value, fields)
    problems.raise_if_any()
    return node


class FilterReader:
    """Reads the filters of one request: counts what they cost, notes what is wrong."""

    __slots__ = ("_conditions", "_parameter", "_problems")

    def __init__(self, problems: Problems, parameter: str = "filter") -> None:
        self._problems = problems
        self._parameter = parameter
        self._conditions = 0

    def count(self, conditions: int = 1) -> None:
        """Count conditions; refuse the request at once when they are too many."""
        self._conditions += conditions
        if self._conditions > MAXIMUM_CONDITIONS:
            self._problems.stop(
                f"a query may have {MAXIMUM_CONDITIONS} conditions at the most",
                "too_complex",
                parameter=self._parameter,
            )

    def count_values(self, values: int) -> None:
        """Count the values of a list before they are read, for each has its cost too."""
        self.count(values // VALUES_OF_A_CONDITION)

    def read(self, value: Any, fields: Field, place: Place = TOP) -> Node:
        """Read an object of conditions, all of which must hold."""
        if place.depth > MAXIMUM_DEPTH:
            self._problems.stop(
                f"a filter may be nested {MAXIMUM_DEPTH} levels deep at the most",
                "too_complex",
                parameter=self._parameter,
            )
        if not isinstance(value, Mapping):
            return self._refuse("a filter is an object", "type", place)
        if not value and place.depth > 1:
            return self._refuse("there is no condition here", "form", place)
        parts: list[Node] = []
        for name, part in value.items():
            here = place.at(name)
            if name in ("and", "or") and isinstance(part, list):
                parts.append(self._several(name, part, fields, here))
            elif name == "not" and isinstance(part, Mapping):
                self.count()
                parts.append(Not(self.read(part, fields, here.deeper())))
            else:
                parts += self._field(name, part, fields, here)
        return all_of(parts)

    def _several(self, word: str, value: list[Any], fields: Field, place: Place) -> Node:
        self.count(1 + len(value))
        if not value:
            return self._refuse(f"`{word}` needs at least one filter", "form", place)
        parts = tuple(
            self.read(part, fields, place.at(str(position)).deeper()) for position, part in enumerate(value)
        )
        return And(parts) if word == "and" else Or(parts)

    def _field(self, name: str, value: Any, fields: Field, place: Place) -> list[Node]:
        found = find_field(fields, name)
        if found is None:
            self.count()
            report_unknown_field(
                self._problems, fields, name, parameter=self._parameter, pointer=place.pointer
            )
            return []
        path, field = found
        if isinstance(value, Mapping):
            return self._operators(path, field, value, place)
        self.count()
        return [self._compare(path, field, OPERATORS["eq"], value, place)]

    def _operators(self, path: Path, field: Field, value: Mapping[str, Any], place: Place) -> list[Node]:
        self.count(max(1, len(value)))
        if not value:
            return [self._refuse("there is no operator here", "form", place)]
        parts: list[Node] = []
        for name, operand in value.items():
            here = place.at(name)
            operator = OPERATORS.get(name)
            if operator is None:
                report_operator(
                    self._problems, path, field, name, parameter=self._parameter, pointer=here.pointer
                )
            elif operator.takes is Takes.CONDITION:
                parts.append(self._elem(path, field, operand, here))
            else:
                if name in PLACES:
                    self.count(cost(operand) - 1)
                parts.append(self._compare(path, field, operator, operand, here))
        return parts

    def _elem(self, path: Path, field: Field, value: Any, place: Place) -> Node:
        items = field.items
        if Kind.ARRAY not in field.kinds or items is None or items.write_only:
            return self._refuse("`elem` needs an array whose elements are described", "operator", place)
        deeper = place.deeper()
        if deeper.depth <= MAXIMUM_DEPTH and isinstance(value, Mapping) and _is_on_elements(value, items):
            conditions = self._operators((), items, value, deeper)
            if sum(isinstance(part, Compare) and part.operator in PLACES for part in conditions) > 1:
                detail = "one condition on an element's place is all that an `elem` can have"
                return self._refuse(detail, "operator", place)
            return Elem(path, all_of(conditions))
        return Elem(path, self.read(value, items, deeper))

    def _compare(self, path: Path, field: Field, operator: Operator, value: Any, place: Place) -> Node:
        if isinstance(value, list):
            self.count_values(_values_in(value))
        try:
            return compare_json(path, field, operator, value)
        except Unfit as problem:
            return self._refuse(str(problem), problem.code, place)

    def _refuse(self, detail: str, code: str, place: Place) -> Node:
        self._problems.add(detail, code, parameter=self._parameter, pointer=place.pointer)
        return EVERYTHING


def _values_in(values: list[Any]) -> int:
    """Count the values of a list, and of the lists within it."""
    counted, waiting = 0, [values]
    while waiting:
        here = waiting.pop()
        counted += len(here)
        waiting += [each for each in here if isinstance(each, list)]
    return counted


def report_operator(
    problems: Problems, path: Path, field: Field, name: str, *, parameter: str, pointer: str | None = None
) -> None:
    """Note that there is no such operator; it may have been meant as a member of the field."""
    dotted = ".".join((*path, name))
    problems.add(
        f"there is no operator `{shown(name)}`",
        "unknown_operator",
        parameter=parameter,
        pointer=pointer,
        hint=f"Did you mean `{shown(dotted)}`?"
        if find_field(field, name)
        else problems.suggest(name, OPERATORS),
    )


def _is_on_elements(condition: Mapping[str, Any], items: Field) -> bool:
    """Return whether the condition of an `elem` is on the elements themselves, not on their members."""
    if Kind.OBJECT not in items.kinds:
        return True
    return bool(condition) and all(name in OPERATORS and name not in items.fields for name in condition)
