"""What is sent about API keys."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from service.access.scopes import MAXIMUM_CHARACTERS, MAXIMUM_SCOPES
from service.identity.forms.account_bodies import Name
from service.kit.errors import DocumentInvalid
from service.kit.forms import Form
from service.kit.violations import field_invalid
from service.query.kinds import date_time

MAXIMUM_TTL_S = 315_360_000
"""Ten years; a key may also never expire."""

Scope = Annotated[str, Field(max_length=MAXIMUM_CHARACTERS)]


class NewApiKey(Form):
    """A key that somebody makes: `expires_at` (RFC 3339) or `expires_in_s`, or neither of them."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=MAXIMUM_SCOPES)]
    expires_at: str | None = None
    expires_in_s: Annotated[int, Field(ge=1, le=MAXIMUM_TTL_S)] | None = None


class ApiKeyChange(Form):
    """What may be changed about a key, as a merge patch."""

    name: Name


def expiry(form: NewApiKey, now: datetime) -> datetime | None:
    """Give when a key expires, None for never; raises DocumentInvalid for a time that cannot be."""
    if form.expires_at is None:
        return None if form.expires_in_s is None else now + timedelta(seconds=form.expires_in_s)
    if form.expires_in_s is not None:
        raise _wrong("`expires_at` and `expires_in_s` are not given together", "exclusive")
    try:
        time = date_time(form.expires_at)
    except ValueError:
        raise _wrong("`expires_at` is a time such as 2030-01-31T12:00:00Z", "format") from None
    if not now < time <= now + timedelta(seconds=MAXIMUM_TTL_S):
        raise _wrong("`expires_at` lies in the future, at most ten years from now", "range")
    return time


def _wrong(detail: str, code: str) -> DocumentInvalid:
    return field_invalid(detail, code, "/expires_at")
