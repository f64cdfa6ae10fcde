"""The tree of failures: what each means, its HTTP status, its stable public code.

    Failure
    ├── Malformed                 400
    │   ├── RequestInvalid            request.invalid        the request line, headers or body framing
    │   ├── JsonInvalid               json.invalid           the body is not strict JSON
    │   ├── ParameterInvalid          parameter.invalid      a query parameter, filter or sort
    │   ├── DocumentInvalid           document.invalid       the document does not match its schema
    │   ├── FieldNotWritable          field.not_writable     a system or read-only field with a new value
    │   ├── IdInvalid                 id.invalid             an id that the collection cannot have
    │   ├── PatchInvalid              patch.invalid          a patch that cannot be applied
    │   └── DefinitionInvalid         definition.invalid     a collection's schema, rules, indexes or options
    ├── Unauthenticated           401
    │   ├── SignInRequired            auth.required
    │   ├── TokenInvalid              auth.token_invalid
    │   └── CredentialsWrong          auth.credentials_wrong
    ├── Forbidden                 403 access.denied
    ├── NotFound                  404
    │   ├── RouteNotFound             route.not_found
    │   ├── CollectionNotFound        collection.not_found
    │   └── DocumentNotFound          document.not_found     absent, or hidden by a rule
    ├── MethodNotAllowed          405 method.not_allowed
    ├── Conflict                  409
    │   ├── Duplicate                 document.duplicate     a unique field's value is taken
    │   ├── CollectionExists          collection.exists
    │   ├── CollectionChanged         collection.changed     someone else changed the definition first
    │   ├── Contention                document.contention    every retry met another writer
    │   └── RegistrationClosed        registration.closed
    ├── Stale                     412 document.stale         If-Match names another version
    ├── BodyTooLarge              413 body.too_large
    ├── MediaTypeUnsupported      415 media_type.unsupported
    ├── RateLimited               429 rate.limited
    ├── Internal                  500 internal
    └── Unavailable               503
        ├── DatabaseUnavailable       database.unavailable
        ├── Busy                      service.busy
        └── Draining                  service.draining

    StartupFailure                    not HTTP: the service cannot start; one sentence for the terminal

A code is public: once released it is never renamed and never reused. Pure Python; imports nothing of ours.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

PROBLEM_MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://sheaf.dev/problems/"
MAXIMUM_VIOLATIONS = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """One field or parameter at fault: where (an RFC 6901 pointer, or a name), a code, a sentence."""

    detail: str
    code: str
    pointer: str | None = None
    parameter: str | None = None
    hint: str | None = None

    def as_json(self) -> dict[str, str]:
        """Give the entry of a problem body's `errors`, without what is not known."""
        pairs = (
            ("pointer", self.pointer),
            ("parameter", self.parameter),
            ("code", self.code),
            ("detail", self.detail),
            ("hint", self.hint),
        )
        return {name: value for name, value in pairs if value is not None}


class Failure(Exception):
    """An operational failure that the client is told of; `extra` members join the problem body."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str | None = None,
        *,
        hint: str | None = None,
        errors: Iterable[Violation] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.detail = detail or self.title
        self.hint = hint
        self.errors = tuple(errors)[:MAXIMUM_VIOLATIONS]
        self.headers = dict(headers or {})
        self.extra = extra
        super().__init__(self.detail)

    def problem(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """Give the RFC 9457 body for this failure at `instance` (the request's path)."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        if self.hint is not None:
            body["hint"] = self.hint
        if self.errors:
            body["errors"] = [error.as_json() for error in self.errors]
        return body | self.extra


class Malformed(Failure):
    """The request itself is at fault."""

    status = 400


class RequestInvalid(Malformed):
    """The request line, a header or the framing of the body is malformed."""

    code = "request.invalid"
    title = "The request is malformed"


class JsonInvalid(Malformed):
    """The body is not the strict JSON that Sheaf reads."""

    code = "json.invalid"
    title = "The body is not valid JSON"


class ParameterInvalid(Malformed):
    """A query parameter is unknown or has a value that it cannot have."""

    code = "parameter.invalid"
    title = "A query parameter is invalid"


class DocumentInvalid(Malformed):
    """The document does not match its collection's schema; `errors` has every violation."""

    code = "document.invalid"
    title = "The document does not match the schema"


class FieldNotWritable(Malformed):
    """The body gives a system or read-only field a value that it does not have."""

    code = "field.not_writable"
    title = "A field cannot be written"


class IdInvalid(Malformed):
    """The id is not of the type that the collection's ids have."""

    code = "id.invalid"
    title = "The id is malformed"


class PatchInvalid(Malformed):
    """The patch is malformed or cannot be applied to the document."""

    code = "patch.invalid"
    title = "The patch cannot be applied"


class DefinitionInvalid(Malformed):
    """The collection's name, schema, rules, indexes or options are invalid; nothing was changed."""

    code = "definition.invalid"
    title = "The definition of the collection is invalid"


class Unauthenticated(Failure):
    """The client has not said, or not proved, who it is."""

    status = 401
    challenge: ClassVar[str] = 'Bearer realm="sheaf"'

    def __init__(self, detail: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint, headers={"WWW-Authenticate": self.challenge})


class SignInRequired(Unauthenticated):
    """The action needs a signed-in caller, and the request has no token."""

    code = "auth.required"
    title = "Sign in first"


class TokenInvalid(Unauthenticated):
    """The bearer token is malformed, expired, revoked or not ours (RFC 6750, 3.1)."""

    code = "auth.token_invalid"
    title = "The access token is not valid"
    challenge = 'Bearer realm="sheaf", error="invalid_token"'


class CredentialsWrong(Unauthenticated):
    """No account has this e-mail address and password; never says which of the two is wrong."""

    code = "auth.credentials_wrong"
    title = "The e-mail address or the password is wrong"


class Forbidden(Failure):
    """The caller is known and may not do this here at all."""

    status = 403
    code = "access.denied"
    title = "You may not do this"


class NotFound(Failure):
    """There is nothing here that the caller may see."""

    status = 404


class RouteNotFound(NotFound):
    """No endpoint has this path."""

    code = "route.not_found"
    title = "There is nothing at this address"


class CollectionNotFound(NotFound):
    """No collection has this name."""

    code = "collection.not_found"
    title = "There is no such collection"


class DocumentNotFound(NotFound):
    """No document has this id, or a rule hides it from this caller."""

    code = "document.not_found"
    title = "There is no such document"


class MethodNotAllowed(Failure):
    """The endpoint exists, but not for this method; `Allow` lists those that it has."""

    status = 405
    code = "method.not_allowed"
    title = "The method is not allowed here"


class Conflict(Failure):
    """The request is fine, but not with the present state."""

    status = 409


class Duplicate(Conflict):
    """A unique field's value is taken by another document; `errors` names the field."""

    code = "document.duplicate"
    title = "A value that must be unique is taken"


class CollectionExists(Conflict):
    """A collection of that name exists already."""

    code = "collection.exists"
    title = "The collection exists already"


class CollectionChanged(Conflict):
    """Somebody else changed the definition between this request's read and its write."""

    code = "collection.changed"
    title = "The definition was changed by somebody else"


class Contention(Conflict):
    """Other writers changed the document at each of the bounded retries."""

    code = "document.contention"
    title = "The document is being changed too often"


class RegistrationClosed(Conflict):
    """The service does not take registrations; an administrator creates the accounts."""

    code = "registration.closed"
    title = "Registration is closed"


class Stale(Failure):
    """`If-Match` names another version than the present one, which `_version` tells (RFC 9110, 13.1.1)."""

    status = 412
    code = "document.stale"
    title = "The document has changed"


class BodyTooLarge(Failure):
    """The request's body is larger than the limit."""

    status = 413
    code = "body.too_large"
    title = "The body is too large"


class MediaTypeUnsupported(Failure):
    """The body's `Content-Type` or `Content-Encoding` is not one that the endpoint reads."""

    status = 415
    code = "media_type.unsupported"
    title = "The media type is not supported"


class RateLimited(Failure):
    """The caller has used up its requests for this window; `Retry-After` says how long to wait."""

    status = 429
    code = "rate.limited"
    title = "Too many requests"


class Internal(Failure):
    """A fault of ours: logged with its traceback and the request's id, nothing leaked."""

    status = 500
    code = "internal"
    title = "Something went wrong on our side"


class Unavailable(Failure):
    """The service cannot answer for a moment; `Retry-After` says when to try again."""

    status = 503
    retry_after_s: ClassVar[int] = 2

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(self.retry_after_s)})


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached."""

    code = "database.unavailable"
    title = "The database cannot be reached"


class Busy(Unavailable):
    """A bounded queue is full; the request was not begun."""

    code = "service.busy"
    title = "The service is busy"


class Draining(Unavailable):
    """The service is shutting down and takes no new work."""

    code = "service.draining"
    title = "The service is shutting down"


class StartupFailure(Exception):
    """The service cannot start: one sentence that says what is wrong and what to do."""


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Give "Did you mean `x`?" for the known word nearest to an unknown one, if any is near.

    >>> suggestion("prise", ["price", "name"])
    'Did you mean `price`?'
    >>> suggestion("zzz", ["price"]) is None
    True
    """
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else None


def catalogue() -> Iterator[type[Failure]]:
    """Give every failure that a client can meet, in the order of the tree above."""

    def below(parent: type[Failure]) -> Iterator[type[Failure]]:
        for child in parent.__subclasses__():
            if "code" in vars(child):
                yield child
            yield from below(child)

    yield from below(Failure)
