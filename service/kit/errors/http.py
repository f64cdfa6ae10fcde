"""The failures that clients meet, one class per public code."""

from typing import ClassVar

from service.kit.errors.base import Failure


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


class BatchInvalid(Malformed):
    """The batch's form is wrong, or one of its operations refers to a document that there is not."""

    code = "batch.invalid"
    title = "The batch is invalid"


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
    """The caller is known and may not do this here at all, or not with such an outcome."""

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


class TooManyAffected(Conflict):
    """More documents match the filter than `max_affected` lets the request change; none was changed."""

    code = "bulk.too_many_affected"
    title = "More documents match than may be changed"


class IdempotencyRunning(Conflict):
    """The first request with this `Idempotency-Key` is not done; try again in `Retry-After` seconds."""

    code = "idempotency.running"
    title = "The first request with this key is still running"
    retry_after_s: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(self.retry_after_s)})


class PatchConflict(Conflict):
    """The patch assumes a structure that the document does not have (RFC 5789, 2.2)."""

    code = "patch.conflict"
    title = "The patch does not fit the document"


class PatchTestFailed(Conflict):
    """A `test` operation of a JSON Patch does not hold, so that nothing of the patch was applied."""

    code = "patch.test_failed"
    title = "A test of the patch failed"


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


class IdempotencyMismatch(Failure):
    """The `Idempotency-Key` was used for another request; a new request needs a new key."""

    status = 422
    code = "idempotency.mismatch"
    title = "The key belongs to another request"


class PreconditionRequired(Failure):
    """The collection demands `If-Match` of every change (RFC 6585, 3)."""

    status = 428
    code = "precondition.required"
    title = "Changes here need If-Match"


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


class DatabaseTooSlow(Unavailable):
    """The database did not answer within the time that an operation may take; it has given the work up."""

    code = "database.too_slow"
    title = "The database takes too long"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.hint = "If it stays so, ask for less: narrow the filter, and sort, by what an index finds."


class Busy(Unavailable):
    """A bounded queue is full; the request was not begun."""

    code = "service.busy"
    title = "The service is busy"


class Draining(Unavailable):
    """The service is shutting down and takes no new work."""

    code = "service.draining"
    title = "The service is shutting down"


class QueryNotFound(NotFound):
    """The collection has no saved query of this name."""

    code = "query.not_found"
    title = "There is no such query"


class QueryUnfit(Conflict):
    """A saved query meets documents, or another collection, that it cannot compute with."""

    code = "query.unfit"
    title = "The query does not fit the present data"


class QueryTooExpensive(Failure):
    """A saved query takes more time, memory or room than one request may have."""

    status = 422
    code = "query.too_expensive"
    title = "The query takes too much"
