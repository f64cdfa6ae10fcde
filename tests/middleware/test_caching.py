import pytest

from service.http.pipeline.response_headers import Caching
from tests.middleware.apps import answering, ask, wrap


@pytest.mark.parametrize(
    ("method", "status", "headers", "expected"),
    [
        ("GET", 200, {}, "no-cache"),
        ("HEAD", 200, {}, "no-cache"),
        ("GET", 304, {}, "no-cache"),
        ("GET", 200, {"authorization": "Bearer x"}, "private, no-cache"),
        ("GET", 200, {"cookie": "a=b"}, "private, no-cache"),
        ("GET", 304, {"authorization": "Bearer x"}, "private, no-cache"),
        ("GET", 404, {}, "no-store"),
        ("GET", 301, {}, "no-store"),
        ("GET", 500, {"authorization": "Bearer x"}, "no-store"),
        ("POST", 201, {}, "no-store"),
        ("PATCH", 200, {"authorization": "Bearer x"}, "no-store"),
        ("DELETE", 204, {}, "no-store"),
    ],
)
async def test_a_response_says_who_may_keep_it(
    method: str, status: int, headers: dict[str, str], expected: str
) -> None:
    answer = await ask(wrap(answering(status=status), Caching()), method, **headers)
    assert dict(answer.headers) == {"cache-control": expected, "vary": "Authorization, Cookie"}


async def test_what_the_handler_says_is_kept() -> None:
    own = [(b"cache-control", b"public, max-age=60"), (b"vary", b"Prefer"), (b"vary", b"authorization")]
    answer = await ask(wrap(answering(headers=own), Caching()), "GET", authorization="Bearer x")
    assert answer.headers.get_list("cache-control") == ["public, max-age=60"]
    assert answer.headers.get_list("vary") == ["Prefer, authorization, Cookie"]


async def test_a_path_with_too_many_slashes_varies_by_caller_too() -> None:
    answer = await ask(wrap(answering(), Caching()), "GET", "http://sheaf.test//api//films")
    assert dict(answer.headers) == {"cache-control": "no-cache", "vary": "Authorization, Cookie"}


async def test_pages_outside_the_api_do_not_vary_by_caller() -> None:
    answer = await ask(wrap(answering(), Caching()), "GET", "/docs")
    assert dict(answer.headers) == {"cache-control": "no-cache"}
