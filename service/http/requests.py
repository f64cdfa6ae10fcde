"""What handlers read from requests and put into responses, in one way for all."""

from collections.abc import Iterable
from typing import Any, cast

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.types import HTTPRequestEvent

from service.documents import patches, preconditions
from service.documents.patches import Patch
from service.documents.preconditions import Expected
from service.http.pipeline.headers import text_of
from service.http.responses import Ready
from service.kit import forms, strict_json
from service.kit.errors import (
    JsonInvalid,
    MediaTypeUnsupported,
    ParameterInvalid,
    Violation,
    suggestion,
)
from service.kit.forms import AnyForm
from service.query.parameters import read_parameters

JSON = "application/json"
BODY = "body"
"""The name in a request's state of its whole body, once it is received."""
MERGE_PATCH = "application/merge-patch+json"

AnyRequest = Request[Any, Any, Any]


def parameters_of(request: AnyRequest) -> list[tuple[str, str]]:
    """Return the query's parameters in order, percent-decoded; raises RequestInvalid."""
    return read_parameters(request.scope["query_string"])


def only_parameters(request: AnyRequest, known: Iterable[str] = ()) -> dict[str, str]:
    """Return the parameters, each a known one that is there once; raises ParameterInvalid."""
    if not request.scope["query_string"]:
        return {}
    pairs = parameters_of(request)
    names = [name for name, _ in pairs]
    known = tuple(known)
    violations = [
        Violation(
            f"`{name[:80]}` is not a parameter here",
            "unknown_parameter",
            parameter=name[:80],
            hint=suggestion(name, known),
        )
        for name in dict.fromkeys(names)
        if name not in known
    ]
    violations += [
        Violation(f"`{name}` is there more than once", "repeated", parameter=name)
        for name in known
        if names.count(name) > 1
    ]
    if violations:
        raise ParameterInvalid(violations[0].detail, errors=violations)
    return dict(pairs)


def expected_by(request: AnyRequest) -> Expected | None:
    """Return what `If-Match` and `If-None-Match` demand of a document to change; raises RequestInvalid."""
    scope = request.scope
    return preconditions.read(text_of(scope, b"if-match"), text_of(scope, b"if-none-match"))


async def patch_of(request: AnyRequest) -> Patch:
    """Read the body as a patch of its media type; raises MediaTypeUnsupported, JsonInvalid, PatchInvalid."""
    try:
        body = await json_of(request, (*patches.MEDIA_TYPES, JSON))
    except MediaTypeUnsupported as failure:
        failure.headers["Accept-Patch"] = ", ".join(patches.MEDIA_TYPES)  # RFC 5789, 2.2 and 3.1
        raise
    return patches.read(media_type_of(request), body)


def media_type_of(request: AnyRequest) -> str:
    """Return the body's media type in small letters, without its parameters; empty without one."""
    media_type = (text_of(request.scope, b"content-type") or "").partition(";")[0]
    return media_type.strip().lower()


async def json_of(request: AnyRequest, media_types: Iterable[str] = (JSON,)) -> Any:
    """Read the body as strict JSON; raises MediaTypeUnsupported, JsonInvalid."""
    content_type = text_of(request.scope, b"content-type") or ""
    if content_type not in media_types:  # as most write it
        _check_media_type(content_type, media_types)
    if (text_of(request.scope, b"content-encoding") or "identity").lower() != "identity":
        raise MediaTypeUnsupported("Compressed bodies are not read here")
    raw = await body_of(request)
    if not raw:
        raise JsonInvalid("The body is empty")
    return strict_json.parse(raw)


async def form_of(request: AnyRequest, form: type[AnyForm], media_types: Iterable[str] = (JSON,)) -> AnyForm:
    """Read the body of a request without parameters as a form.

    Raises ParameterInvalid, MediaTypeUnsupported, JsonInvalid, DocumentInvalid.
    """
    only_parameters(request)
    return forms.read(form, await json_of(request, media_types))


def _check_media_type(content_type: str, media_types: Iterable[str]) -> None:
    media_type, _, rest = content_type.partition(";")
    if media_type.strip().lower() not in media_types:
        said = f"`{media_type.strip()[:80]}`" if media_type.strip() else "A body without a Content-Type"
        raise MediaTypeUnsupported(f"{said} is not read here", hint=f"Send {' or '.join(media_types)}.")
    charset = rest.strip().lower().replace(" ", "").removeprefix("charset=").strip('"')
    if charset not in {"", "utf-8", "utf8"}:
        raise MediaTypeUnsupported("Only UTF-8 is read here")


async def body_of(request: AnyRequest) -> bytes:
    """Return the whole body, which the pipeline bounds; it is received once and kept."""
    state = request.scope["state"]
    if BODY not in state:
        parts: list[bytes] = []
        is_whole = False
        while not is_whole:
            message = cast("HTTPRequestEvent", await request.receive())
            parts.append(message.get("body", b""))
            is_whole = not message.get("more_body", False)
        state[BODY] = parts[0] if len(parts) == 1 else b"".join(parts)
    body: bytes = state[BODY]
    return body


def json_response(
    content: bytes, *, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """Return a response with ready-made JSON."""
    return Ready(content, status_code=status_code, headers=headers, media_type=JSON)


def tagged_response(request: AnyRequest, content: bytes, entity_tag: str, **headers: str) -> Response[bytes]:
    """Return a readable representation: 304 when the client has it, no body for HEAD."""
    headers["ETag"] = entity_tag
    if preconditions.is_known(text_of(request.scope, b"if-none-match"), entity_tag):
        return Ready(b"", status_code=304, headers=headers)
    if request.scope["method"] == HttpMethod.HEAD:
        headers["Content-Length"] = str(len(content))
        return Ready(b"", headers=headers, media_type=JSON)
    return json_response(content, headers=headers)
