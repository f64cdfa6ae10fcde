"""What lies in a circle, a box, a polygon in memory is what MongoDB finds there, away from the very edge."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from service.query.geometry import EARTH_RADIUS_M, Box, Circle, Polygon, Position, Region, fault, lies_in

Places = Collection[dict[str, Any]]

EDGE_DEGREES = 0.01
CENTERS = [(8.5, 47.0), (179.9, -16.0), (-70.0, 0.0), (20.0, 89.0)]


def random_positions() -> list[Position]:
    random = Random(1776)  # noqa: S311  # the same positions in every run
    everywhere = [
        (random.uniform(-180, 180), math.degrees(math.asin(random.uniform(-1, 1)))) for _ in range(400)
    ]
    near = [around(random.choice(CENTERS), random.uniform(0, 7), 6 * n) for n in range(300)]
    return [position for position in everywhere + near if abs(position[1]) < 90 - EDGE_DEGREES]


def around(center: Position, angle: float, distance: float) -> Position:
    """Return a position about so many hundredths of a degree away."""
    longitude = center[0] + distance / 100 * math.cos(angle) / math.cos(math.radians(center[1]))
    latitude = center[1] + distance / 100 * math.sin(angle)
    return (longitude + 180) % 360 - 180, max(-90.0, min(90.0, latitude))


POSITIONS = random_positions()

longitudes = st.integers(-1800, 1800).map(lambda tenth: tenth / 10)
latitudes = st.integers(-900, 900).map(lambda tenth: tenth / 10)
centers = st.sampled_from(CENTERS) | st.tuples(longitudes, latitudes)
circles = st.builds(Circle, centers, st.floats(2, 7).map(lambda power: 10**power))
boxes = st.builds(Box, longitudes, latitudes, longitudes, latitudes).filter(
    lambda box: box.south < box.north and box.west not in (box.east, box.east + 360)
)


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """Return stars around a center: mostly simple, of very different sizes, some with a hole."""
    center = draw(st.sampled_from(CENTERS))
    size = draw(st.sampled_from((10, 100, 1000)))
    angles = sorted(draw(st.lists(st.integers(0, 62), min_size=3, max_size=12, unique=True)))
    reaches = [draw(st.integers(3, 10)) for _ in angles]
    ring = [
        around(center, angle / 10, size * reach / 10) for angle, reach in zip(angles, reaches, strict=True)
    ]
    hole = [around(center, angle / 10, size / 20) for angle in angles]
    rings = [ring, hole] if draw(st.booleans()) else [ring]
    return Polygon(tuple((*each, each[0]) for each in rings))


@pytest.fixture(scope="module", params=["no index", "2dsphere"])
def places(request: pytest.FixtureRequest, mongodb_uri: str) -> Iterator[Places]:
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        database = client.get_database(f"places_{uuid4().hex[:12]}")
        documents = database.get_collection("places")
        if request.param == "2dsphere":
            documents.create_index([("place", "2dsphere")])
        documents.insert_many([{"_id": n, "place": point(each)} for n, each in enumerate(POSITIONS)])
        yield documents
        client.drop_database(database)


def point(position: Position) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(position)}


def is_at_edge(region: Region, position: Position) -> bool:
    if isinstance(region, Box):
        return any(abs(position[1] - latitude) < EDGE_DEGREES for latitude in (region.south, region.north))
    if isinstance(region, Circle):
        edge_m = math.radians(EDGE_DEGREES) * EARTH_RADIUS_M / 1000
        wider = Circle(region.center, region.distance_m + edge_m)
        narrower = Circle(region.center, max(0.0, region.distance_m - edge_m))
        return wider.has(position) != narrower.has(position)
    return False


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(region=circles | boxes | polygons())
def test_region_match_agrees_with_mongodb(places: Places, region: Region) -> None:
    assume(not isinstance(region, Polygon) or fault(region) is None)
    found = {each["_id"] for each in places.find({"place": {"$geoWithin": region.as_mongo()}}, {"_id": 1})}
    expected = {n for n, each in enumerate(POSITIONS) if lies_in(point(each), region)}
    assert not [POSITIONS[n] for n in found ^ expected if not is_at_edge(region, POSITIONS[n])]
