"""Finding fields by dotted path, and not finding the hidden ones."""

import pytest

from service.query.fields import Field
from service.query.kinds import Kind
from tests.query.shop import ANYTHING, SECRET, SHOP, an_array, an_object, of

BOTH = Field(
    kinds=frozenset({Kind.OBJECT, Kind.ARRAY}),
    fields={"open": of(Kind.STRING), "mixed": of(Kind.STRING)},
    items=an_object(mixed=SECRET),
)
DEEP = Field(
    kinds=frozenset({Kind.OBJECT, Kind.ARRAY}),
    fields={"inner": an_object(key=of(Kind.STRING), name=of(Kind.STRING)), "list": an_array(of(Kind.STRING))},
    items=an_object(inner=an_object(key=SECRET, name=of(Kind.STRING)), list=an_array(SECRET)),
)
ROOT = an_object(
    both=BOTH,
    deep=DEEP,
    rows=an_array(an_object(**{"0": SECRET, "name": of(Kind.STRING)})),
    pairs=an_array(an_object(**{"0": an_object(key=SECRET), "key": of(Kind.STRING)})),
    free=ANYTHING,
)


@pytest.mark.parametrize(
    ("root", "path", "kinds"),
    [
        (SHOP, "address.city", {Kind.STRING}),
        (SHOP, "parts.count", {Kind.INTEGER}),
        (SHOP, "parts.0.count", {Kind.INTEGER}),
        (SHOP, "matrix.0.1", {Kind.NUMBER}),
        (ROOT, "both.open", {Kind.STRING}),
        (ROOT, "rows.1.name", {Kind.STRING}),
        (ROOT, "deep.inner.name", {Kind.STRING}),
        (ROOT, "free.a.0.b.c", ANYTHING.kinds),
    ],
)
def test_field_is_resolved_through_objects_and_arrays(root: Field, path: str, kinds: set[Kind]) -> None:
    field = root.resolve(tuple(path.split(".")))
    assert field is not None
    assert field.kinds == kinds


HIDDEN = ["both.mixed", "rows.0", "rows.0.0", "both.other", "rows.\u0660"]
HIDDEN_IN_ONE_OF_SEVERAL_PLACES = ["deep.inner.key", "deep.inner", "deep.list", "pairs.0.key"]


@pytest.mark.parametrize("path", [*HIDDEN, *HIDDEN_IN_ONE_OF_SEVERAL_PLACES])
def test_ambiguous_path_to_write_only_field_is_not_resolved(path: str) -> None:
    """A8."""
    assert ROOT.resolve(tuple(path.split("."))) is None
