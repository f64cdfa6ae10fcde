from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

import pytest
from beanie import Document, PydanticObjectId
from mongomock_motor import AsyncMongoMockClient
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from models import DOCUMENTS
from models.base import Stored
from models.counter import Counter
from models.product import Product
from service.kit.errors import Violation
from service.schema import check, classes, model_violations, of_model
from service.schema import compile as compile_schema


def test_schema_of_class_describes_writable_fields() -> None:
    assert of_model(Product) == {
        "title": "Product",
        "description": (
            "Anybody reads products, whoever signs in creates them, their owners and editors change them."
        ),
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "price": {"type": "number", "minimum": 0, "maximum": 999_999},
            "description": {
                "anyOf": [{"type": "string", "maxLength": 2000}, {"type": "null"}],
                "default": None,
            },
            "category": {"anyOf": [{"type": "string", "maxLength": 100}, {"type": "null"}], "default": None},
            "tags": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 50},
                "maxItems": 50,
                "default": [],
            },
        },
        "required": ["name", "price"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("model", DOCUMENTS)
def test_schema_of_every_class_is_valid(model: type[Document]) -> None:
    check(of_model(model))


class Part(BaseModel):
    """An object within a document; its `id` is its own."""

    id: int
    part: "Part | None" = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Everything(Stored, Document):
    id: UUID  # type: ignore[assignment]  # as a class with ids of its own has it
    reference: PydanticObjectId
    price: Decimal
    data: bytes
    key: UUID
    at: datetime
    day: date = date(2026, 11, 22)
    number: int = 0
    part: Part
    open: Open | None = None


def test_types_of_class_become_formats() -> None:
    schema = of_model(Everything)
    check(schema)

    assert schema["properties"] == {
        "reference": {"$ref": "#/$defs/PydanticObjectId"},
        "price": {"type": "string", "format": "decimal"},
        "data": {"type": "string", "format": "binary"},
        "key": {"type": "string", "format": "uuid"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date", "default": "2026-11-22"},
        "number": {"type": "integer", "default": 0},
        "part": {"$ref": "#/$defs/Part"},
        "open": {"anyOf": [{"$ref": "#/$defs/Open"}, {"type": "null"}], "default": None},
    }
    assert schema["required"] == ["reference", "price", "data", "key", "at", "part"]
    assert schema["$defs"]["PydanticObjectId"]["format"] == "objectid"
    assert (
        schema["$defs"]["Part"]["additionalProperties"],
        schema["$defs"]["Open"]["additionalProperties"],
    ) == (
        False,
        True,
    )
    assert schema["$defs"]["Part"]["properties"] == {
        "id": {"type": "integer"},
        "part": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}], "default": None},
    }
    assert {
        name: sorted(compile_schema(schema).root.fields[name].kinds) for name in schema["properties"]
    } == {
        "reference": ["objectid"],
        "price": ["decimal"],
        "data": ["binary"],
        "key": ["uuid"],
        "at": ["date-time"],
        "day": ["date"],
        "number": ["integer"],
        "part": ["object"],
        "open": ["null", "object"],
    }


class Node(Stored, Document):
    name: str
    children: list["Node"] = Field(default_factory=list)


def test_self_referencing_class_has_object_schema() -> None:
    schema = of_model(Node)

    assert (schema["type"], schema["$ref"]) == ("object", "#/$defs/Node")


def no_shouting(text: str) -> str:
    if text.isupper():
        raise ValueError("do not shout")
    return text


class Line(BaseModel):
    amount: Annotated[Decimal, Field(gt=0)]
    note: Annotated[str, AfterValidator(no_shouting)] = ""


class Order(Stored, Document):
    id: str  # type: ignore[assignment]  # as a class with ids of its own has it
    first: date
    last: date
    lines: list[Line] = []
    either: Line | None = None

    @field_validator("first")
    @classmethod
    def not_before_the_shop(cls, first: date) -> date:
        if first.year < 2020:
            raise ValueError("the shop opened in 2020")
        return first

    @model_validator(mode="after")
    def in_order(self) -> Self:
        assert self.last >= self.first, "an order ends after it begins"
        return self


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"first": "2026-01-01", "last": "2026-01-02"}, []),
        (
            {"first": "2019-01-01", "last": "2026-01-02"},
            [Violation("the shop opened in 2020", "validator", pointer="/first")],
        ),
        (
            {"first": "2026-01-02", "last": "2026-01-01"},
            [Violation("an order ends after it begins", "validator", pointer="")],
        ),
        (
            {
                "first": "2026-01-01",
                "last": "2026-01-02",
                "lines": [{"amount": "1"}, {"amount": "2", "note": "HEY"}],
            },
            [Violation("do not shout", "validator", pointer="/lines/1/note")],
        ),
        (
            {"first": "2026-01-01", "last": "2026-01-02", "either": {"amount": "-1"}},
            [Violation("Input should be greater than 0", "validator", pointer="/either/amount")],
        ),
        ({"last": "2026-01-01"}, [Violation("`first` is required", "required", pointer="/first")]),
    ],
)
def test_class_validators_run_without_database(document: dict[str, Any], expected: list[Violation]) -> None:
    assert model_violations(Order, document) == expected


async def test_class_validators_run_after_initialisation() -> None:
    from beanie import init_beanie  # noqa: PLC0415  # beside its only use

    class Late(Order):
        class Settings:
            name = "late"

    await init_beanie(database=AsyncMongoMockClient()["late"], document_models=[Late])

    assert model_violations(Late, {"first": "2026-01-02", "last": "2026-01-01"}) == [
        Violation("an order ends after it begins", "validator", pointer="")
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [(Order, True), (Product, False), (Counter, False), (Everything, False), (Node, False)],
)
def test_only_classes_with_own_validators_have_validator(model: type[Document], *, expected: bool) -> None:
    assert (classes._judge(model) is not None) is expected
    assert expected or model_violations(model, {}) == []
