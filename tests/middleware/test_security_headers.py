import pytest

from service.http.pipeline.response_headers import SecurityHeaders
from service.http.problems import Failures
from service.kit.errors import MethodNotAllowed, RateLimited, RouteNotFound
from tests.middleware.apps import answering, get, raising, wrap

HELMET_8 = {
    "content-security-policy": (
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"
        "frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';"
        "script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "origin-agent-cluster": "?1",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "x-download-options": "noopen",
    "x-frame-options": "SAMEORIGIN",
    "x-permitted-cross-domain-policies": "none",
    "x-xss-protection": "0",
}


async def test_response_has_exactly_the_default_headers_of_helmet() -> None:
    answer = await get(wrap(answering(), SecurityHeaders()))
    assert dict(answer.headers) == HELMET_8


@pytest.mark.parametrize(
    ("error", "status"),
    [(RouteNotFound(), 404), (MethodNotAllowed(), 405), (RateLimited(), 429), (RuntimeError(), 500)],
)
async def test_refused_request_has_security_headers(error: Exception, status: int) -> None:
    answer = await get(wrap(raising(error), SecurityHeaders(), Failures()))
    assert answer.status_code == status
    assert dict(answer.headers) | HELMET_8 == dict(answer.headers)


async def test_security_header_of_application_is_kept() -> None:
    own = [(b"content-security-policy", b"default-src 'none'"), (b"x-other", b"1")]
    answer = await get(wrap(answering(headers=own), SecurityHeaders()))
    assert dict(answer.headers) == {
        **HELMET_8,
        "content-security-policy": "default-src 'none'",
        "x-other": "1",
    }
