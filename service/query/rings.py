"""Rings on the globe, flattened: what they surround, and whether they cross or touch."""

import math
from itertools import pairwise
from typing import TypeAlias

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
    """Give the direction of a position from the middle of the globe, of length 1."""
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
    """Give the angle between two directions in radians, exact for small ones too."""
    return math.atan2(math.hypot(*_cross(one, other)), _dot(one, other))


def center_of(ring: Ring) -> Vector:
    """Give the middle direction of a ring's corners."""
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
    """Tell whether a closed ring goes around a point, by the edges that a ray from it crosses."""
    is_inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > point[1]) != (y2 > point[1]) and point[0] < x1 + (point[1] - y1) / (y2 - y1) * (x2 - x1):
            is_inside = not is_inside
    return is_inside


def touch(rings: list[list[Flat]]) -> bool:
    """Tell whether closed rings cross or touch themselves or each other, their corners apart."""
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
