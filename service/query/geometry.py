"""Places on the globe: circles, boxes and polygons, as MongoDB takes them and as they are in memory."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

from bson import Decimal128

from service.query.rings import Flat, Position, Ring, Vector, angle, center_of, flat, surrounds, touch, vector

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
        """Tell whether a position lies in it."""
        return angle(vector(self.center), vector(position)) <= self.distance_m / EARTH_RADIUS_M

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
        point = flat(center, position)
        return point is not None and sum(surrounds(ring, point) for ring in rings) % 2 == 1

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
