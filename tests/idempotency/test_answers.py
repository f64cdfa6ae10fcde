"""Which failures are remembered: each is decided."""

import pytest

from models.remembered_answer import RememberedAnswer
from service.documents.idempotency import ANSWER_LIMIT_BYTES, Answer, is_transient
from service.kit import errors
from service.kit.errors import Failure, catalogue

TRANSIENT = {
    "auth.required",
    "auth.token_invalid",
    "auth.credentials_wrong",
    "auth.code_wrong",
    "auth.cross_site",
    "auth.locked",
    "auth.session_ended",
    "auth.sign_in_expired",
    "password.wrong",
    "email.unverified",
    "provider.invalid",
    "provider.refused",
    "provider.unavailable",
    "access.denied",
    "collection.changed",
    "document.contention",
    "idempotency.running",
    "rate.limited",
    "internal",
    "database.too_slow",
    "database.unavailable",
    "service.busy",
    "service.draining",
    "changes.expired",
    "changes.too_many_streams",
}
KEPT_STATUSES = {400, 404, 405, 409, 412, 413, 415, 422, 428}
LARGE = b"x" * (ANSWER_LIMIT_BYTES + 1)


@pytest.mark.parametrize("failure", list(catalogue()), ids=lambda failure: failure.code)
def test_failure_is_transient_or_has_stored_status(failure: type[Failure]) -> None:
    assert is_transient(failure()) == (failure.code in TRANSIENT)
    assert (failure.code in TRANSIENT) or failure.status in KEPT_STATUSES


def test_failure_of_unknown_status_is_transient() -> None:
    class Teapot(errors.Failure):
        status = 418
        title = "A teapot"

    assert is_transient(Teapot())


def test_stored_answer_is_read_back() -> None:
    answer = Answer(201, "application/json", {"ETag": '"1"', "Location": "/api/films/1"}, b"{}")
    assert answer.remembered() is answer
    again = Answer.replayed(RememberedAnswer.model_construct(**answer.stored(), id="x", is_done=True))
    assert again == Answer(201, "application/json", dict(answer.headers), b"{}", is_replayed=True)


@pytest.mark.parametrize(("status", "remembered"), [(200, 204), (201, 201), (204, 204), (400, 400)])
def test_large_answer_is_stored_without_body(status: int, remembered: int) -> None:
    answer = Answer(status, "application/json", {"ETag": '"1"'}, LARGE)
    headers = {"ETag": '"1"', "Preference-Applied": "return=minimal"}
    assert answer.remembered() == Answer(remembered, "application/json", headers, b"")
