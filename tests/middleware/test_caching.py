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
async def test_response_without_cache_control_gets_one_by_method_and_credentials(
    method: str, status: int, headers: dict[str, str], expected: str
) -> None:
    answer = await ask(wrap(answering(status=status), Caching()), method, **headers)
    assert dict(answer.headers) == {"cache-control": expected, "vary": "Authorization, Cookie"}


async def test_cache_control_of_handler_is_kept() -> None:
    own = [(b"cache-control", b"public, max-age=60"), (b"vary", b"Prefer"), (b"vary", b"authorization")]
    answer = await ask(wrap(answering(headers=own), Caching()), "GET", authorization="Bearer x")
    assert answer.headers.get_list("cache-control") == ["public, max-age=60"]
    assert answer.headers.get_list("vary") == ["Prefer, authorization, Cookie"]


async def test_api_path_with_extra_slashes_varies_by_caller() -> None:
    answer = await ask(wrap(answering(), Caching()), "GET", "http://sheaf.test//api//films")
    assert dict(answer.headers) == {"cache-control": "no-cache", "vary": "Authorization, Cookie"}


async def test_page_outside_api_does_not_vary_by_caller() -> None:
    answer = await ask(wrap(answering(), Caching()), "GET", "/docs")
    assert dict(answer.headers) == {"cache-control": "no-cache"}
