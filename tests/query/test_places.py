"""Places in filters: what `near` and `within` mean in both spellings, and what is refused."""

import json
from typing import Any

import pytest

from service.kit.errors import ParameterInvalid
from service.query import And, Compare, Elem, parse_filter, parse_list, to_mongo
from service.query.geometry import EARTH_RADIUS_M, Box, Circle, Polygon, lies_in
from service.query.kinds import Kind
from tests.query.shop import ANYTHING, PLACE, SHOP, an_array, an_object, of

CIRCLE = Circle((8.55, 47.37), 5000)
SQUARE = [[8.4, 47.3], [8.6, 47.3], [8.6, 47.5], [8.4, 47.5], [8.4, 47.3]]
CROSSING = "the rings of a polygon neither cross nor touch themselves or each other"
POSITION = "a position is written `[longitude, latitude]`"
NUMBERS = "longitudes, latitudes and metres are numbers"
DISTANCE = "distances go up to 10000000 metres, and are greater than 0"
BOX = "`within` is written `west,south,east,north`; a polygon is written in JSON"
OBJECT = "`place` is an object; compare its members, as `object.member`"
NO_PLACE = "`{}` needs a place, an object with `type` and `coordinates`, and `{}` is none"
HOLE_IN_HOLE = [[8.46, 47.355], [8.49, 47.355], [8.49, 47.36], [8.46, 47.355]]
WITH_HIDDEN = an_object(type=of(Kind.STRING), coordinates=ANYTHING, x=of(Kind.NUMBER, write_only=True))
HOLE = [[8.45, 47.35], [8.5, 47.35], [8.5, 47.4], [8.45, 47.35]]


@pytest.mark.parametrize(
    ("text", "value", "region"),
    [
        ("[near]=8.55,47.37,5000", {"near": {"point": [8.55, 47.37], "distance_m": 5000}}, CIRCLE),
        (
            "[within]=8.4,47.3,8.6,47.5",
            {"within": {"box": [8.4, 47.3, 8.6, 47.5]}},
            Box(8.4, 47.3, 8.6, 47.5),
        ),
        ("[within]=170,-10,-170,1e1", {"within": {"box": [170, -10, -170, 10]}}, Box(170, -10, -170, 10)),
    ],
)
@pytest.mark.parametrize("name", ["place", "places", "places.0", "extra", "extra.deep.place"])
def test_text_and_json_spelling_of_region_are_equal(
    name: str, text: str, value: dict[str, Any], region: Any
) -> None:
    operator, _, given = text.partition("=")
    asked = parse_list([(f"filter[{name}]{operator}", given)], SHOP).where
    assert asked == parse_filter({name: value}, SHOP)
    assert asked == Compare(tuple(name.split(".")), operator.strip("[]"), region)


def test_regions_compile_to_geo_within() -> None:
    assert to_mongo(Compare(("place",), "near", CIRCLE)) == {
        "place": {"$geoWithin": {"$centerSphere": [[8.55, 47.37], 5000 / EARTH_RADIUS_M]}}
    }
    node = parse_filter({"place": {"within": {"polygon": [SQUARE, HOLE]}}}, SHOP)
    assert to_mongo(node) == {
        "place": {"$geoWithin": {"$geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]}}}
    }
    box = to_mongo(Compare(("place",), "within", Box(-0.1, 50.0, 0.1, 50.5)))
    geometry = box["place"]["$geoWithin"]["$geometry"]
    assert geometry == {
        "type": "MultiPolygon",
        "coordinates": [
            [
                [
                    *([-0.1, 50.0], [0.1, 50.0], [0.1, 50.25]),
                    *([0.1, 50.5], [-0.1, 50.5], [-0.1, 50.25], [-0.1, 50.0]),
                ]
            ]
        ],
    }


def test_conditions_on_same_place_are_combined_with_and() -> None:
    value = {
        "place": {"near": {"point": [1, 2], "distance_m": 3}, "within": {"box": [0, 1, 2, 3]}, "exists": True}
    }
    first, second, third = to_mongo(parse_filter(value, SHOP))["$and"]
    assert [list(each["place"]) for each in (first, second, third)] == [
        ["$geoWithin"],
        ["$geoWithin"],
        ["$exists"],
    ]


def test_negated_place_condition_uses_double_not() -> None:
    node = parse_filter({"not": {"place": {"near": {"point": [8.55, 47.37], "distance_m": 5000}}}}, SHOP)
    within = {"$geoWithin": CIRCLE.as_mongo()}
    assert to_mongo(node) == {"$nor": [{"place": {"$not": {"$not": within}}}]}


REFUSALS: list[Any] = [
    ({"near": [8.55, 47.37, 5000]}, "form", "`near` takes an object such as"),
    ({"near": {"point": [8.55, 47.37]}}, "form", "`near` takes an object such as"),
    ({"near": {"point": [1, 2], "distance_m": 1, "x": 1}}, "form", "`near` takes an object such as"),
    ({"near": {"point": "8,4", "distance_m": 1}}, "form", POSITION),
    ({"near": {"point": [8, 4, 0], "distance_m": 1}}, "form", POSITION),
    ({"near": {"point": [8, "4"], "distance_m": 1}}, "type", NUMBERS),
    ({"near": {"point": [True, 4], "distance_m": 1}}, "type", NUMBERS),
    ({"near": {"point": [180.1, 4], "distance_m": 1}}, "range", "longitudes go from -180 to 180"),
    ({"near": {"point": [8, -90.1], "distance_m": 1}}, "range", "latitudes go from -90 to 90"),
    ({"near": {"point": [8, 10**400], "distance_m": 1}}, "range", "latitudes go from -90 to 90"),
    ({"near": {"point": [8, 4], "distance_m": 0}}, "range", "distances go up to 10000000 metres"),
    ({"near": {"point": [8, 4], "distance_m": 10_000_001}}, "range", "distances go up to 10000000 metres"),
    ({"near": {"$geometry": {"type": "Point"}}}, "form", "`near` takes an object such as"),
    ({"within": [1, 2, 3, 4]}, "form", "`within` takes an object such as"),
    ({"within": {}}, "form", "`within` takes an object such as"),
    ({"within": {"box": [1, 2, 3, 4], "polygon": []}}, "form", "`within` takes an object such as"),
    ({"within": {"$centerSphere": [[1, 2], 3]}}, "form", "`within` takes an object such as"),
    ({"within": {"box": [1, 2, 3]}}, "form", "a box is written `[west, south, east, north]`"),
    ({"within": {"box": [1, 4, 3, 2]}}, "range", "a box's north lies north of its south"),
    ({"within": {"box": [1, 2, 1, 4]}}, "range", "a box's east lies east of its west"),
    ({"within": {"box": [180, 2, -180, 4]}}, "range", "a box's east lies east of its west"),
    ({"within": {"polygon": []}}, "form", "a polygon is a list of rings"),
    ({"within": {"polygon": [[]]}}, "form", "a ring has 4 positions at least"),
    ({"within": {"polygon": SQUARE}}, "form", POSITION),
    ({"within": {"polygon": [SQUARE[:-1]]}}, "form", "a ring has 4 positions at least"),
    ({"within": {"polygon": [[[0, 0], [1, 1], [0, 0]]]}}, "form", "a ring has 4 positions at least"),
    ({"within": {"polygon": [[[0, 0]] * 101]}}, "too_complex", "a polygon may have 100"),
    ({"within": {"polygon": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}}, "form", CROSSING),
    ({"within": {"polygon": [[[0, 0], [1, 0], [2, 0], [0, 0]]]}}, "form", CROSSING),
    ({"within": {"polygon": [[[0, 0], [0, 0], [1, 1], [0, 0]]]}}, "form", CROSSING),
    (
        {"within": {"polygon": [SQUARE, [[8.5, 47.4], [8.7, 47.4], [8.5, 47.45], [8.5, 47.4]]]}},
        "form",
        CROSSING,
    ),
    ({"within": {"polygon": [SQUARE, [[1, 1], [2, 1], [2, 2], [1, 1]]]}}, "form", "the rings after the"),
    (
        {"within": {"polygon": [SQUARE, HOLE, HOLE_IN_HOLE]}},
        "form",
        "a polygon's holes do not lie in each other",
    ),
    (
        {"within": {"polygon": [[[-120, 0], [0, 0], [120, 0], [-120, 0]]]}},
        "form",
        "a polygon must be smaller than half of the globe",
    ),
]


@pytest.mark.parametrize(("value", "code", "detail"), REFUSALS)
def test_invalid_region_in_json_is_refused(value: dict[str, Any], code: str, detail: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_filter({"place": value}, SHOP)
    (violation,) = caught.value.errors
    assert (violation.code, violation.pointer) == (code, f"/place/{next(iter(value))}")
    assert violation.detail.startswith(detail)


@pytest.mark.parametrize(
    ("name", "text", "code", "detail"),
    [
        ("filter[place][near]", "8,47", "form", "`near` is written `longitude,latitude,metres`"),
        ("filter[place][near]", "8,47,1,1", "form", "`near` is written `longitude,latitude,metres`"),
        ("filter[place][near]", "8,x,1", "type", NUMBERS),
        ("filter[place][near]", "8,nan,1", "type", NUMBERS),
        ("filter[place][near]", "8,47,inf", "type", NUMBERS),
        ("filter[place][near]", "8,47,1e999", "range", DISTANCE),
        ("filter[place][near]", "٨,47,1", "type", NUMBERS),
        ("filter[place][near]", "1" * 5000, "type", NUMBERS),
        ("filter[place][within]", "8,47", "form", BOX),
        ("filter[price][near]", "8,47,1", "operator", NO_PLACE.format("near", "price")),
        ("filter[address][within]", "8,47,9,48", "operator", NO_PLACE.format("within", "address")),
        ("filter[shelter][near]", "8,47,1", "operator", NO_PLACE.format("near", "shelter")),
        ("filter[id][near]", "8,47,1", "operator", NO_PLACE.format("near", "id")),
        ("filter[place][gt]", "8", "operator", OBJECT),
        ("filter[place][nera]", "8,47,1", "unknown_operator", "there is no operator `nera`"),
    ],
)
def test_invalid_region_in_text_is_refused(name: str, text: str, code: str, detail: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_list([(name, text)], SHOP)
    (violation,) = caught.value.errors
    assert (violation.parameter, violation.code, violation.detail) == (name, code, detail)


def test_element_condition_allows_one_place_operator() -> None:
    near = {"near": {"point": [8.55, 47.37], "distance_m": 5000}}
    assert parse_filter({"places": {"elem": near}}, SHOP) == Elem(("places",), Compare((), "near", CIRCLE))
    both = {"places": {"elem": {**near, "within": {"box": [8, 47, 9, 48]}}}}
    with pytest.raises(ParameterInvalid, match="one condition on an element's place"):
        parse_filter(both, SHOP)
    parts = And((Compare((), "near", CIRCLE), Compare((), "within", Box(8, 47, 9, 48))))
    with pytest.raises(ValueError, match="two places"):
        to_mongo(Elem(("places",), parts))


@pytest.mark.parametrize(
    ("field", "is_place"),
    [
        (PLACE, True),
        (an_array(PLACE), True),
        (ANYTHING, True),
        (an_object(type=of(Kind.STRING)), False),
        (an_object(type=of(Kind.STRING), coordinates=of(Kind.NUMBER, write_only=True)), False),
        (an_object(type=of(Kind.STRING), coordinates=an_array(of(Kind.NUMBER, write_only=True))), False),
        (an_array(WITH_HIDDEN), False),
    ],
)
def test_place_operator_is_refused_on_field_with_write_only_parts(field: Any, is_place: bool) -> None:
    """MongoDB looks at the value as a whole, so that a hidden part of it could be guessed."""
    name = json.dumps({"spot": {"near": {"point": [1, 2], "distance_m": 3}}})
    asked = [("filter", name)]
    if is_place:
        assert parse_list(asked, an_object(spot=field)).where is not None
    else:
        with pytest.raises(ParameterInvalid):
            parse_list(asked, an_object(spot=field))


@pytest.mark.parametrize(
    ("position", "is_in"),
    [
        ([8.48, 47.37], False),
        ([8.55, 47.45], True),
        ([8.41, 47.31], True),
        ([8.7, 47.4], False),
        ([-171.5, -47.4], False),
    ],
)
def test_hole_is_outside_of_polygon(position: list[float], is_in: bool) -> None:
    polygon = Polygon(tuple(tuple((ring[0], ring[1]) for ring in rings) for rings in (SQUARE, HOLE)))
    assert lies_in({"type": "Point", "coordinates": position}, polygon) == is_in
