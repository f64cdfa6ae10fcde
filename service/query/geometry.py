"""Places on the globe: circles, boxes and polygons, as MongoDB takes them and as they are in memory."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

from bson import Decimal128

from service.query.fields import Field, hides
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_DISTANCE_M, MAXIMUM_POLYGON_POSITIONS, POSITIONS_OF_A_CONDITION

Position: TypeAlias = tuple[float, float]
"""Longitude and latitude in degrees, in GeoJSON's order."""

Vector: TypeAlias = tuple[float, float, float]

Ring: TypeAlias = tuple[Position, ...]

Flat: TypeAlias = tuple[float, float]
"""A position on the plane that touches the globe at a center: there, great circles are straight lines."""

_NEAR_HORIZON = math.cos(math.radians(85))
_TOUCHING = 1e-12

_AXES: tuple[Vector, Vector] = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
_STEEP = 0.9
"""Above this height a center is too near to the first axis, so that the second gives the plane its east."""


def vector(position: Position) -> Vector:
    """Return the direction of a position from the middle of the globe, of length 1."""
    longitude, latitude = math.radians(position[0]), math.radians(position[1])
    shrunk = math.cos(latitude)
    return shrunk * math.cos(longitude), shrunk * math.sin(longitude), math.sin(latitude)


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _cross(one: Vector, other: Vector) -> Vector:
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


def angle(one: Vector, other: Vector) -> float:
    """Return the angle between two directions in radians, exact for small ones too."""
    return math.atan2(math.hypot(*_cross(one, other)), _dot(one, other))


def center_of(ring: Ring) -> Vector:
    """Return the middle direction of a ring's corners."""
    vectors = [vector(position) for position in ring[:-1]]
    x, y, z = (math.fsum(parts) for parts in zip(*vectors, strict=True))
    length = math.hypot(x, y, z)
    return (x / length, y / length, z / length) if length > _TOUCHING else vectors[0]


def flat(center: Vector, position: Position) -> Flat | None:
    """Project a position on the plane at the center (gnomonic); None beyond or near its horizon."""
    direction = vector(position)
    height = _dot(center, direction)
    if height < _NEAR_HORIZON:
        return None
    across = _cross(_AXES[abs(center[2]) > _STEEP], center)
    length = math.hypot(*across)
    east = (across[0] / length, across[1] / length, across[2] / length)
    return _dot(east, direction) / height, _dot(_cross(center, east), direction) / height


def surrounds(ring: list[Flat], point: Flat) -> bool:
    """Return whether a closed ring goes around a point, by the edges that a ray from it crosses."""
    is_inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > point[1]) != (y2 > point[1]) and point[0] < x1 + (point[1] - y1) / (y2 - y1) * (x2 - x1):
            is_inside = not is_inside
    return is_inside


def touch(rings: list[list[Flat]]) -> bool:
    """Return whether closed rings cross or touch themselves or each other, their corners apart."""
    edges = [(ring, position, *edge) for ring in rings for position, edge in enumerate(pairwise(ring))]
    for number, (ring, position, start, end) in enumerate(edges):
        if math.dist(start, end) < _TOUCHING:
            return True
        for other_ring, other_position, other_start, other_end in edges[:number]:
            gap = abs(position - other_position)
            is_next = ring is other_ring and gap in (1, len(ring) - 2)
            if is_next and _folds_back(start, end, other_start, other_end):
                return True
            if not is_next and _meet(start, end, other_start, other_end):
                return True
    return False


def _folds_back(start: Flat, end: Flat, other_start: Flat, other_end: Flat) -> bool:
    """Return whether two edges with a corner in common lie upon each other."""
    corner, one, other = (start, end, other_start) if start == other_end else (end, start, other_end)
    return _distance(one, corner, other) < _TOUCHING or _distance(other, corner, one) < _TOUCHING


def _meet(start: Flat, end: Flat, other_start: Flat, other_end: Flat) -> bool:
    for axis in (0, 1):  # most edges are far apart, which is quickly seen
        low, high = sorted((start[axis], end[axis]))
        other_low, other_high = sorted((other_start[axis], other_end[axis]))
        if max(low, other_low) - min(high, other_high) > _TOUCHING:
            return False
    sides = _side(start, end, other_start) * _side(start, end, other_end)
    other_sides = _side(other_start, other_end, start) * _side(other_start, other_end, end)
    if sides < 0 and other_sides < 0:
        return True
    return (
        min(
            _distance(start, other_start, other_end),
            _distance(end, other_start, other_end),
            _distance(other_start, start, end),
            _distance(other_end, start, end),
        )
        < _TOUCHING
    )


def _side(start: Flat, end: Flat, point: Flat) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _distance(point: Flat, start: Flat, end: Flat) -> float:
    """Return the distance of a point from the edge between two others."""
    length = math.dist(start, end)
    if length == 0:
        return math.dist(point, start)
    along = (point[0] - start[0]) * (end[0] - start[0]) + (point[1] - start[1]) * (end[1] - start[1])
    part = max(0.0, min(1.0, along / length / length))
    nearest = (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
    return math.dist(point, nearest)


EARTH_RADIUS_M = 6_378_100.0
"""MongoDB's radius of the globe."""

WHOLE_TURN, HALF_TURN, QUARTER_TURN = 360.0, 180.0, 90.0

_SLICE_DEGREES = 90.0
_SEGMENTS_PER_DEGREE, _MOST_SEGMENTS = 4, 90
"""Edges between positions are great circles; a box's edges along the parallels are cut into short ones."""


@dataclass(frozen=True, slots=True)
class Circle:
    """All that is no farther from a position than a distance along the globe, at the most a quarter of it."""

    center: Position
    distance_m: float

    def has(self, position: Position) -> bool:
        """Return whether a position lies in it."""
        return angle(vector(self.center), vector(position)) <= self.distance_m / EARTH_RADIUS_M

    def as_mongo(self) -> dict[str, Any]:
        """Return what `$geoWithin` takes."""
        return {"$centerSphere": [list(self.center), self.distance_m / EARTH_RADIUS_M]}


@dataclass(frozen=True, slots=True)
class Box:
    """All between two meridians, going east, and two parallels; it may cross the meridian of 180 degrees."""

    west: float
    south: float
    east: float
    north: float

    @property
    def width(self) -> float:
        """Return how many degrees of longitude it covers, up to 360."""
        width = self.east - self.west
        return width if width > 0 else width + WHOLE_TURN

    def has(self, position: Position) -> bool:
        """Return whether a position lies in it."""
        longitude, latitude = position
        return (longitude - self.west) % WHOLE_TURN <= self.width and self.south <= latitude <= self.north

    def as_mongo(self) -> dict[str, Any]:
        """Return what `$geoWithin` takes: polygons side by side, each well below half of the globe."""
        count = math.ceil(self.width / _SLICE_DEGREES)
        bounds = [self.west + self.width * part / count for part in range(count + 1)]
        rings = [[self._slice(west, east)] for west, east in pairwise(bounds)]
        return {"$geometry": {"type": "MultiPolygon", "coordinates": rings}}

    def _slice(self, west: float, east: float) -> list[list[float]]:
        count = min(_MOST_SEGMENTS, math.ceil((east - west) * _SEGMENTS_PER_DEGREE))
        longitudes = [west + (east - west) * part / count for part in range(count + 1)]
        southern = longitudes[:1] if self.south == -QUARTER_TURN else longitudes
        northern = longitudes[:1] if self.north == QUARTER_TURN else longitudes[::-1]
        middle = (self.south + self.north) / 2  # from pole to pole there are many shortest ways
        corners = [(longitude, self.south) for longitude in southern] + [(east, middle)]
        corners += [(longitude, self.north) for longitude in northern] + [(west, middle)]
        return [[_normal(longitude), latitude] for longitude, latitude in [*corners, corners[0]]]


@dataclass(frozen=True, slots=True)
class Polygon:
    """A GeoJSON polygon (RFC 7946, 3.1.6): an outer ring, then holes; its edges are great circles."""

    rings: tuple[Ring, ...]

    def has(self, position: Position) -> bool:
        """Return whether a position lies in it: within an odd number of its rings."""
        center, rings = _flattened(self)
        point = flat(center, position)
        return point is not None and sum(surrounds(ring, point) for ring in rings) % 2 == 1

    def as_mongo(self) -> dict[str, Any]:
        """Return what `$geoWithin` takes."""
        coordinates = [[list(position) for position in ring] for ring in self.rings]
        return {"$geometry": {"type": "Polygon", "coordinates": coordinates}}


Region: TypeAlias = Circle | Box | Polygon


def lies_in(value: Any, region: Region) -> bool:
    """Return whether a stored value is a place that lies wholly in a region, as MongoDB sees it.

    A place is GeoJSON or, as MongoDB's own older form, an array or object that begins with two numbers. Lines
    and areas are judged by their corners.
    """
    positions = list(_positions(value))
    return bool(positions) and all(
        position is not None and _is_on_globe(position) and region.has(position) for position in positions
    )


def fault(polygon: Polygon) -> str | None:
    """Say what is wrong with a polygon whose rings are closed and whose positions are on the globe.

    MongoDB refuses what crosses or touches itself, and takes what is larger than half of the globe for the
    rest of it.
    """
    center = center_of(polygon.rings[0])
    rings: list[list[Flat]] = []
    for ring in polygon.rings:
        points = [flat(center, position) for position in ring]
        if any(point is None for point in points):
            return "a polygon must be smaller than half of the globe"
        rings.append([point for point in points if point is not None])
    if touch(rings):
        return "the rings of a polygon neither cross nor touch themselves or each other"
    outer, *holes = rings
    if not all(surrounds(outer, hole[0]) for hole in holes):
        return "the rings after the first are holes, which lie in it"
    if any(surrounds(one, other[0]) for one in holes for other in holes if one is not other):
        return "a polygon's holes do not lie in each other"
    return None


def _normal(longitude: float) -> float:
    return longitude - WHOLE_TURN if longitude > HALF_TURN else longitude


def _is_on_globe(position: Position) -> bool:
    return abs(position[0]) <= HALF_TURN and abs(position[1]) <= QUARTER_TURN


@lru_cache(maxsize=64)
def _flattened(polygon: Polygon) -> tuple[Vector, list[list[Flat]]]:
    center = center_of(polygon.rings[0])
    rings = [[flat(center, position) for position in ring] for ring in polygon.rings]
    return center, [[point for point in ring if point is not None] for ring in rings]


_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""The geometries of RFC 7946, and in how many arrays their positions are."""

_DEEPEST_COLLECTION = 1


def _positions(value: Any, depth: int = 0) -> Iterator[Position | None]:
    """Yield the positions of a place, None for what is no position; nothing for what is no place."""
    if isinstance(value, list | tuple):
        yield _pair(value)
    elif isinstance(value, Mapping) and value:
        first = next(iter(value.values()))
        kind = value.get("type")
        if _number(first) is not None:
            yield _pair(list(value.values()))
        elif kind == "GeometryCollection" and depth < _DEEPEST_COLLECTION:
            geometries = value.get("geometries")
            for geometry in geometries if isinstance(geometries, list) else []:
                yield from _positions(geometry, depth + 1)
        elif isinstance(kind, str) and kind in _DEPTHS:
            yield from _within(value.get("coordinates"), _DEPTHS[kind])


def _within(coordinates: Any, depth: int) -> Iterator[Position | None]:
    parts = list(coordinates.values()) if isinstance(coordinates, Mapping) else coordinates
    if not isinstance(parts, list):
        yield None
    elif depth == 0:
        yield _pair(parts)
    else:
        for part in parts:
            yield from _within(part, depth - 1)


def _pair(parts: Any) -> Position | None:
    numbers = [_number(part) for part in parts[:2]]
    longitude, latitude = numbers if len(numbers) == 2 else (None, None)  # noqa: PLR2004  # a pair
    return None if longitude is None or latitude is None else (longitude, latitude)


def _number(value: Any) -> float | None:
    if isinstance(value, Decimal128):
        return float(value.to_decimal())
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


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
    """Return whether a field can be a GeoJSON object, or an array of such.

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
    """Return as how many conditions the right side of an operator on places counts, before it is read."""
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
    return Circle(_position(numbers[:2]), _distance_of(numbers[2]))


def circle_of_json(value: Any) -> Circle:
    """Read `{"point": [longitude, latitude], "distance_m": metres}`; raises Misplaced."""
    if not isinstance(value, Mapping) or value.keys() != {"point", "distance_m"}:
        raise Misplaced(f"`near` takes {_NEAR_FORM}")
    return Circle(_position(value["point"]), _distance_of(value["distance_m"]))


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


def _number_of(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misplaced("longitudes, latitudes and metres are numbers", "type")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _position(value: Any) -> Position:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004  # longitude and latitude
        raise Misplaced("a position is written `[longitude, latitude]`")
    longitude, latitude = map(_number_of, value)
    if not abs(longitude) <= HALF_TURN:
        raise Misplaced("longitudes go from -180 to 180", "range")
    if not abs(latitude) <= QUARTER_TURN:
        raise Misplaced("latitudes go from -90 to 90", "range")
    return longitude, latitude


def _distance_of(value: Any) -> float:
    distance_m = _number_of(value)
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
