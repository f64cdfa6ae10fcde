"""What every stored document has: the system fields, and the clock that stamps them."""

from datetime import UTC, datetime
from time import time_ns
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

SYSTEM_FIELDS = ("_version", "_created_at", "_updated_at", "_owner")


def utc_now() -> datetime:
    """Return the present time in UTC at BSON's precision, so that what is created is what is read back."""
    return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)


def stored_now() -> datetime:
    """Return the present time as documents hold it that are read: in UTC, without a zone."""
    return utc_now().replace(tzinfo=None)


class Stored(BaseModel):
    """System fields of a document: a plain mixin beside Beanie's Document, never a Document itself.

    Beanie initialises parent documents and replaces their class attributes, so a shared Document base would
    give later subclasses `'_id'` as their default id. `rules`, `rule_tests`, `options`, `indexes` and
    `queries` have the form that a runtime definition's have. A class whose collection's name starts with
    `_` is never public.
    """

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    rules: ClassVar[dict[str, Any]] = {}
    rule_tests: ClassVar[list[dict[str, Any]]] = []
    options: ClassVar[dict[str, Any]] = {}
    indexes: ClassVar[list[dict[str, Any]]] = []
    queries: ClassVar[dict[str, Any]] = {}

    version: Annotated[int, Field(alias="_version", ge=1)] = 1
    created_at: datetime = Field(alias="_created_at", default_factory=utc_now)
    updated_at: datetime = Field(
        alias="_updated_at",
        # a new document has one time, not two readings of the clock
        default_factory=lambda known: known.get("created_at") or utc_now(),
    )
    owner: Annotated[str | None, Field(alias="_owner")] = None
