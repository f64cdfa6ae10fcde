"""Places on the globe: circles, boxes and polygons, as MongoDB takes them and as they are in memory."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

from bson import Decimal128

EARTH_RADIUS_M = 6_378_100.0
"""MongoDB's radius of the globe."""

WHOLE_TURN, HALF_TURN, QUARTER_TURN = 360.0, 180.0, 90.0

_SLICE_DEGREES = 90.0
_SEGMENTS_PER_DEGREE, _MOST_SEGMENTS = 4, 90
"""Edges between positions are great circles; a box's edges along the parallels are cut into short ones."""

Position: TypeAlias = tuple[float, float]
"""Longitude and latitude in degrees, in GeoJSON's order."""

Vector: TypeAlias = tuple[float, float, float]

Ring: TypeAlias = tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Circle:
    """All that is no farther from a position than a distance along the globe, at the most a quarter of it."""

    center: Position
    distance_m: float

    def has(self, position: Position) -> bool:
        """Tell whether a position lies in it."""
        return _angle(_vector(self.center), _vector(position)) <= self.distance_m / EARTH_RADIUS_M

    def as_mongo(self) -> dict[str, Any]:
        """Give what `$geoWithin` takes."""
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
        """Give how many degrees of longitude it covers, up to 360."""
        width = self.east - self.west
        return width if width > 0 else width + WHOLE_TURN

    def has(self, position: Position) -> bool:
        """Tell whether a position lies in it."""
        longitude, latitude = position
        return (longitude - self.west) % WHOLE_TURN <= self.width and self.south <= latitude <= self.north

    def as_mongo(self) -> dict[str, Any]:
        """Give what `$geoWithin` takes: polygons side by side, each well below half of the globe."""
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
        """Tell whether a position lies in it: within an odd number of its rings."""
        center, rings = _flattened(self)
        point = _flat(center, position)
        return point is not None and sum(_surrounds(ring, point) for ring in rings) % 2 == 1

    def as_mongo(self) -> dict[str, Any]:
        """Give what `$geoWithin` takes."""
        coordinates = [[list(position) for position in ring] for ring in self.rings]
        return {"$geometry": {"type": "Polygon", "coordinates": coordinates}}


Region: TypeAlias = Circle | Box | Polygon


def lies_in(value: Any, region: Region) -> bool:
    """Tell whether a stored value is a place that lies wholly in a region, as MongoDB sees it.

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
    center = _center(polygon.rings[0])
    rings: list[list[Flat]] = []
    for ring in polygon.rings:
        points = [_flat(center, position) for position in ring]
        if any(point is None for point in points):
            return "a polygon must be smaller than half of the globe"
        rings.append([point for point in points if point is not None])
    if _touches_itself(rings):
        return "the rings of a polygon neither cross nor touch themselves or each other"
    outer, *holes = rings
    if not all(_surrounds(outer, hole[0]) for hole in holes):
        return "the rings after the first are holes, which lie in it"
    if any(_surrounds(one, other[0]) for one in holes for other in holes if one is not other):
        return "a polygon's holes do not lie in each other"
    return None


Flat: TypeAlias = tuple[float, float]
"""A position on the plane that touches the globe at a center: there, great circles are straight lines."""

_NEAR_HORIZON = math.cos(math.radians(85))
_TOUCHING = 1e-12


def _normal(longitude: float) -> float:
    return longitude - WHOLE_TURN if longitude > HALF_TURN else longitude


def _is_on_globe(position: Position) -> bool:
    return abs(position[0]) <= HALF_TURN and abs(position[1]) <= QUARTER_TURN


def _vector(position: Position) -> Vector:
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


def _angle(one: Vector, other: Vector) -> float:
    return math.atan2(math.hypot(*_cross(one, other)), _dot(one, other))


def _center(ring: Ring) -> Vector:
    """Give the middle direction of a ring's corners."""
    vectors = [_vector(position) for position in ring[:-1]]
    x, y, z = (math.fsum(parts) for parts in zip(*vectors, strict=True))
    length = math.hypot(x, y, z)
    return (x / length, y / length, z / length) if length > _TOUCHING else vectors[0]


def _flat(center: Vector, position: Position) -> Flat | None:
    """Project a position on the plane at the center (gnomonic); None beyond or near its horizon."""
    vector = _vector(position)
    height = _dot(center, vector)
    if height < _NEAR_HORIZON:
        return None
    across = _cross((0.0, 0.0, 1.0) if abs(center[2]) < 0.9 else (1.0, 0.0, 0.0), center)  # noqa: PLR2004  # not along the center
    length = math.hypot(*across)
    east = (across[0] / length, across[1] / length, across[2] / length)
    return _dot(east, vector) / height, _dot(_cross(center, east), vector) / height


@lru_cache(maxsize=64)
def _flattened(polygon: Polygon) -> tuple[Vector, list[list[Flat]]]:
    center = _center(polygon.rings[0])
    flat = [[_flat(center, position) for position in ring] for ring in polygon.rings]
    return center, [[point for point in ring if point is not None] for ring in flat]


def _surrounds(ring: list[Flat], point: Flat) -> bool:
    """Tell whether a closed ring goes around a point, by the edges that a ray from it crosses."""
    is_inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > point[1]) != (y2 > point[1]) and point[0] < x1 + (point[1] - y1) / (y2 - y1) * (x2 - x1):
            is_inside = not is_inside
    return is_inside


def _touches_itself(rings: list[list[Flat]]) -> bool:
    edges = [(ring, position, *edge) for ring in rings for position, edge in enumerate(pairwise(ring))]
    for number, (ring, position, start, end) in enumerate(edges):
        if _distance(start, start, end) < _TOUCHING and math.dist(start, end) < _TOUCHING:
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
    """Tell whether two edges with a corner in common lie upon each other."""
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
    """Give the distance of a point from the edge between two others."""
    length = math.dist(start, end)
    if length == 0:
        return math.dist(point, start)
    along = (point[0] - start[0]) * (end[0] - start[0]) + (point[1] - start[1]) * (end[1] - start[1])
    part = max(0.0, min(1.0, along / length / length))
    nearest = (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
    return math.dist(point, nearest)


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
    """Give the positions of a place, None for what is no position; nothing for what is no place."""
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
