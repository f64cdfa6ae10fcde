"""Cursors carry a place unchanged; they are read by who wrote them, for the list that they are of."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from uuid import UUID

import pytest
from bson import Decimal128, Int64, ObjectId

from service.kit.errors import ParameterInvalid
from service.query import Compare, ListQuery, SortKey
from service.query.cursors import Cursors
from service.query.fields import Field
from service.query.keyset import EMPTY, Place
from service.query.limits import MAXIMUM_CURSOR_CHARACTERS, MAXIMUM_CURSOR_VALUES_BYTES
from service.storage.plans import plan_list

QUERY = ListQuery(Compare(("price",), "gt", Decimal128("1.5")), (SortKey(("price",), is_descending=True),))


def list_of(collection: str, query: ListQuery) -> bytes:
    """The name of the list that a query asks for."""
    return plan_list("goods", Field(), query).list_id(collection)


LIST = list_of("goods 1", QUERY)
PLACE = Place((7, ObjectId("5" * 24)))
CURSORS = Cursors("a secret")
WRITTEN = CURSORS.write(LIST, PLACE) or ""

VALUES = [
    None,
    EMPTY,
    True,
    1,
    1.5,
    Int64(2**60),
    Decimal128("0.10"),
    "é",
    datetime(2026, 11, 22, 12, 0, 0, 1000),  # noqa: DTZ001  # as the engine reads times
    ObjectId("5" * 24),
    UUID(int=7),
    b"\x00",
    {"b": 1, "a": [None]},
    [1, [2]],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("is_backward", [False, True])
def test_cursor_preserves_every_value_type(value: object, is_backward: bool) -> None:
    place = Place((value, "id"), is_backward)
    text = CURSORS.write(LIST, place)
    assert text is not None
    assert text.isascii()
    assert set(text) & set("+/=&?#% ") == set()
    read = CURSORS.read(LIST, text)
    assert read == place
    assert read.values is not None
    assert type(read.values[0]) is type(value)


def test_cursor_without_values_round_trips() -> None:
    text = CURSORS.write(LIST, Place(is_backward=True))
    assert text is not None
    assert CURSORS.read(LIST, text) == Place(is_backward=True)


def test_cursor_of_previous_secret_is_accepted() -> None:
    assert Cursors("a new secret", "another", "a secret").read(LIST, WRITTEN) == PLACE


def altered() -> list[str]:
    """Return the cursor with each of its bytes changed in turn."""
    raw = urlsafe_b64decode(WRITTEN + "=" * (-len(WRITTEN) % 4))
    return [
        urlsafe_b64encode(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]).rstrip(b"=").decode()
        for at in range(len(raw))
    ]


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(altered(), id="altered"),
        pytest.param([WRITTEN[:length] for length in range(len(WRITTEN))], id="cut"),
        pytest.param([WRITTEN + "A", WRITTEN + "=", WRITTEN * 2, " " + WRITTEN, WRITTEN + "\n"], id="longer"),
        pytest.param(["eyJpZCI6MX0", "null", "é", "\0", "AQ", "A" * MAXIMUM_CURSOR_CHARACTERS], id="made up"),
        pytest.param([Cursors("another").write(LIST, PLACE)], id="another secret"),
    ],
)
def test_forged_or_altered_cursor_is_refused(texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ParameterInvalid) as caught:
            CURSORS.read(LIST, text)
        (violation,) = caught.value.errors
        assert (violation.code, violation.parameter) == ("cursor", "cursor")


@pytest.mark.parametrize(
    "other",
    [
        list_of("goods 2", QUERY),
        list_of("goods 1", ListQuery(Compare(("price",), "gt", Decimal128("1.6")), QUERY.sort)),
        list_of("goods 1", ListQuery(None, QUERY.sort)),
        list_of("goods 1", ListQuery(QUERY.where)),
        list_of("goods 1", ListQuery(QUERY.where, (SortKey(("price",)),))),
        list_of("goods 1", ListQuery(QUERY.where, QUERY.sort, search="desk")),
    ],
)
def test_cursor_of_another_list_is_refused(other: bytes) -> None:
    with pytest.raises(ParameterInvalid, match="another list"):
        CURSORS.read(other, WRITTEN)


def test_paging_and_view_parameters_do_not_change_list_id() -> None:
    shown = ListQuery(QUERY.where, QUERY.sort, page=3, limit=7, cursor="x", count="exact", expand=(("a",),))
    assert list_of("goods 1", shown) == LIST


def test_oversized_values_have_no_cursor() -> None:
    longest = "x" * (MAXIMUM_CURSOR_VALUES_BYTES - len("values is_backward") - 30)
    text = CURSORS.write(LIST, Place((longest,)))
    assert text is not None
    assert len(text) < MAXIMUM_CURSOR_CHARACTERS
    assert CURSORS.write(LIST, Place(("x" * MAXIMUM_CURSOR_VALUES_BYTES,))) is None
