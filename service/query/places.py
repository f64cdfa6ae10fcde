"""The right sides of `near` and `within`, as text and as JSON, and the fields that can hold a place."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from service.query.fields import Field, hides
from service.query.geometry import (
    HALF_TURN,
    QUARTER_TURN,
    WHOLE_TURN,
    Box,
    Circle,
    Polygon,
    Region,
    fault,
)
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_DISTANCE_M, MAXIMUM_POLYGON_POSITIONS, POSITIONS_OF_A_CONDITION
from service.query.rings import Position, Ring

_CIRCLE_NUMBERS, _BOX_NUMBERS = 3, 4
_SHORTEST_RING = 4
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,4})?", re.ASCII)

_NEAR_FORM = 'an object such as {"point": [8.55, 47.37], "distance_m": 5000}'
_WITHIN_FORM = 'an object such as {"box": [8.4, 47.3, 8.6, 47.5]} or {"polygon": [[[8.4, 47.3], …]]}'


class Misplaced(ValueError):
    """Why something is no circle, box or polygon, as a sentence with its code."""

    def __init__(self, detail: str, code: str = "form") -> None:
        self.code = code
        super().__init__(detail)


def can_hold_place(field: Field) -> bool:
    """Tell whether a field can be a GeoJSON object, or an array of such.

    Not when anything in it is write-only: MongoDB looks at the value as a whole.
    """
    if hides(field):
        return False
    return any(
        part is not None
        and Kind.OBJECT in part.kinds
        and all((part.fields.get(name) or part.others) is not None for name in ("type", "coordinates"))
        for part in (field, field.items)
    )


def cost(value: Any) -> int:
    """Tell as how many conditions the right side of an operator on places counts, before it is read."""
    rings = value.get("polygon") if isinstance(value, Mapping) else None
    positions = sum(len(ring) for ring in rings if isinstance(ring, list)) if isinstance(rings, list) else 0
    return max(1, positions // POSITIONS_OF_A_CONDITION)


def circle_of_text(text: str) -> Circle:
    """Read `longitude,latitude,metres`; raises Misplaced.

    >>> circle_of_text("8.55,47.37,5000")
    Circle(center=(8.55, 47.37), distance_m=5000.0)
    """
    numbers = _numbers_of_text(text)
    if len(numbers) != _CIRCLE_NUMBERS:
        raise Misplaced("`near` is written `longitude,latitude,metres`")
    return Circle(_position(numbers[:2]), _distance(numbers[2]))


def circle_of_json(value: Any) -> Circle:
    """Read `{"point": [longitude, latitude], "distance_m": metres}`; raises Misplaced."""
    if not isinstance(value, Mapping) or value.keys() != {"point", "distance_m"}:
        raise Misplaced(f"`near` takes {_NEAR_FORM}")
    return Circle(_position(value["point"]), _distance(value["distance_m"]))


def region_of_text(text: str) -> Region:
    """Read a box, `west,south,east,north`; raises Misplaced.

    >>> region_of_text("8.4,47.3,8.6,47.5")
    Box(west=8.4, south=47.3, east=8.6, north=47.5)
    """
    numbers = _numbers_of_text(text)
    if len(numbers) != _BOX_NUMBERS:
        raise Misplaced("`within` is written `west,south,east,north`; a polygon is written in JSON")
    return _box(numbers)


def region_of_json(value: Any) -> Region:
    """Read `{"box": [west, south, east, north]}` or `{"polygon": [[[longitude, latitude], …], …]}`.

    Raises Misplaced.
    """
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, shape),) = value.items()
        if name in _SHAPES:
            return _SHAPES[name](shape)
    raise Misplaced(f"`within` takes {_WITHIN_FORM}")


def _numbers_of_text(text: str) -> list[float]:
    parts = text.split(",", _BOX_NUMBERS + 1)
    if not all(map(_NUMBER.fullmatch, parts)):
        raise Misplaced("longitudes, latitudes and metres are numbers", "type")
    return list(map(float, parts))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misplaced("longitudes, latitudes and metres are numbers", "type")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _position(value: Any) -> Position:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004  # longitude and latitude
        raise Misplaced("a position is written `[longitude, latitude]`")
    longitude, latitude = map(_number, value)
    if not abs(longitude) <= HALF_TURN:
        raise Misplaced("longitudes go from -180 to 180", "range")
    if not abs(latitude) <= QUARTER_TURN:
        raise Misplaced("latitudes go from -90 to 90", "range")
    return longitude, latitude


def _distance(value: Any) -> float:
    distance_m = _number(value)
    if not 0 < distance_m <= MAXIMUM_DISTANCE_M:
        raise Misplaced(f"distances go up to {MAXIMUM_DISTANCE_M} metres, and are greater than 0", "range")
    return distance_m


def _box(value: Any) -> Box:
    if not isinstance(value, list) or len(value) != _BOX_NUMBERS:
        raise Misplaced("a box is written `[west, south, east, north]`")
    west, south = _position(value[:2])
    east, north = _position(value[2:])
    if south >= north:
        raise Misplaced("a box's north lies north of its south", "range")
    if west in (east, east + WHOLE_TURN):
        raise Misplaced("a box's east lies east of its west", "range")
    return Box(west, south, east, north)


def _polygon(value: Any) -> Polygon:
    if not isinstance(value, list) or not value or not all(isinstance(ring, list) for ring in value):
        raise Misplaced("a polygon is a list of rings, each a list of positions")
    if sum(map(len, value)) > MAXIMUM_POLYGON_POSITIONS:
        raise Misplaced(
            f"a polygon may have {MAXIMUM_POLYGON_POSITIONS} positions at the most", "too_complex"
        )
    polygon = Polygon(tuple(map(_ring, value)))
    wrong = fault(polygon)
    if wrong is not None:
        raise Misplaced(wrong)
    return polygon


def _ring(value: list[Any]) -> Ring:
    ring = tuple(map(_position, value))
    if len(ring) < _SHORTEST_RING or ring[0] != ring[-1]:
        raise Misplaced(f"a ring has {_SHORTEST_RING} positions at least, the last one being the first again")
    return ring


_SHAPES: Mapping[str, Callable[[Any], Region]] = {"box": _box, "polygon": _polygon}
