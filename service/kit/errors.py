"""The tree of failures: what each means, its HTTP status, its stable public code.

    Failure
    ├── Malformed                 400
    │   ├── RequestInvalid            request.invalid        the request line, headers or body framing
    │   ├── LinkInvalid               link.invalid           a mail's link that was used or has expired
    │   ├── JsonInvalid               json.invalid           the body is not strict JSON
    │   ├── ParameterInvalid          parameter.invalid      a query parameter, filter or sort
    │   ├── DocumentInvalid           document.invalid       the document does not match its schema
    │   ├── FieldNotWritable          field.not_writable     a system or read-only field with a new value
    │   ├── IdInvalid                 id.invalid             an id that the collection cannot have
    │   ├── PatchInvalid              patch.invalid          a patch that cannot be applied
    │   ├── BatchInvalid              batch.invalid          a batch's form, or a reference in it
    │   ├── FlowInvalid               auth.flow_invalid      a provider's sign-in that was not begun here
    │   └── DefinitionInvalid         definition.invalid     a collection's schema, rules, indexes or options
    ├── Unauthenticated           401
    │   ├── SignInRequired            auth.required
    │   ├── TokenInvalid              auth.token_invalid
    │   ├── CodeWrong                 auth.code_wrong        of the second factor: wrong, or used before
    │   ├── SignInExpired             auth.sign_in_expired   the first step of a sign-in is void
    │   ├── SessionEnded              auth.session_ended     or expired, or there never was one
    │   └── CredentialsWrong          auth.credentials_wrong
    ├── Forbidden                 403 access.denied
    │   ├── PasswordWrong             password.wrong         a signed-in caller gave another password
    │   ├── ProviderRefused           provider.refused       it did not sign the person in
    │   └── EmailUnverified           email.unverified       sign-in wants a verified address
    ├── CrossSite                 403 auth.cross_site        by cookie, from no page of our own
    ├── NotFound                  404
    │   ├── RouteNotFound             route.not_found
    │   ├── CollectionNotFound        collection.not_found
    │   ├── SessionNotFound           session.not_found
    │   ├── DocumentNotFound          document.not_found     absent, or hidden by a rule
    │   ├── KeyNotFound               key.not_found          no such API key of this user
    │   ├── ProviderNotFound          provider.not_found
    │   ├── IdentityNotFound          identity.not_found     the account is not linked with the provider
    │   └── QueryNotFound             query.not_found        no saved query of that name
    ├── MethodNotAllowed          405 method.not_allowed
    ├── Conflict                  409
    │   ├── PasswordAbsent            password.absent        the account signs in through a provider
    │   ├── EmailVerified             email.verified
    │   ├── MailNotConfigured         mail.not_configured
    │   ├── Duplicate                 document.duplicate     a unique field's value is taken
    │   ├── CollectionExists          collection.exists
    │   ├── CollectionChanged         collection.changed     someone else changed the definition first
    │   ├── Contention                document.contention    every retry met another writer
    │   ├── PatchConflict             patch.conflict         the patch assumes what the document does not have
    │   ├── PatchTestFailed           patch.test_failed      a `test` of a JSON Patch does not hold
    │   ├── TooManyAffected           bulk.too_many_affected more documents match than may be changed
    │   ├── IdempotencyRunning        idempotency.running    the first request with this key still runs
    │   ├── QueryUnfit                query.unfit            a saved query cannot compute with the data
    │   ├── LastAdministrator         user.last_admin        nobody would be left to administer
    │   ├── SecondFactorPresent       second_factor.present
    │   ├── SecondFactorAbsent        second_factor.absent
    │   ├── TooManyKeys               key.too_many           the user has as many API keys as one may
    │   ├── AccountExists             auth.account_exists    with the address that a provider tells
    │   ├── IdentityTaken             identity.taken         by another account
    │   ├── LastSignIn                identity.last          the only way to sign in to the account
    │   ├── NotLive                   changes.not_live       the collection's option `live` is off
    │   └── RegistrationClosed        registration.closed
    ├── ChangesExpired            410 changes.expired        what changed since the cursor is not known
    ├── Stale                     412 document.stale         If-Match names another version
    ├── BodyTooLarge              413 body.too_large
    ├── MediaTypeUnsupported      415 media_type.unsupported
    ├── TooManyFilters            422 changes.too_many_filters  that name no value, watched at once
    ├── QueryTooExpensive         422 query.too_expensive    more time, memory or room than allowed
    ├── IdempotencyMismatch       422 idempotency.mismatch   another request had this key
    ├── PreconditionRequired      428 precondition.required  the collection wants If-Match
    ├── RateLimited               429 rate.limited
    ├── TooManyStreams            429 changes.too_many_streams  open at once
    ├── Locked                    429 auth.locked            too many wrong passwords or codes
    ├── Internal                  500 internal
    ├── ProviderInvalid           502 provider.invalid       what a provider says does not hold
    └── Unavailable               503
        ├── DatabaseUnavailable       database.unavailable
        ├── DatabaseTooSlow           database.too_slow
        ├── ProviderUnavailable       provider.unavailable
        ├── Busy                      service.busy
        └── Draining                  service.draining

    StartupFailure                    not HTTP: the service cannot start; one sentence for the terminal

A code is public: once released it is never renamed and never reused. Pure Python; imports nothing of ours.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from heapq import nlargest
from os.path import commonprefix
from typing import Any, ClassVar, Self

PROBLEM_MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://sheaf.dev/problems/"
MAXIMUM_VIOLATIONS = 100
MAXIMUM_COMPARED = 50
"""How many words an unknown one is compared with letter by letter, which takes long for long words."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field or parameter at fault: where (an RFC 6901 pointer, or a name), a code, a sentence.

    `id` is the document's whose field it is, where the request names none.
    """

    detail: str
    code: str
    pointer: str | None = None
    parameter: str | None = None
    hint: str | None = None
    id: str | int | None = None

    def as_json(self) -> dict[str, str | int]:
        """Return the entry of a problem body's `errors`, without what is not known."""
        pairs = (
            ("id", self.id),
            ("pointer", self.pointer),
            ("parameter", self.parameter),
            ("code", self.code),
            ("detail", self.detail),
            ("hint", self.hint),
        )
        return {name: value for name, value in pairs if value is not None}


class Failure(Exception):
    """An operational failure that the client is told of; `extra` members join the problem body.

    Each class names its status, its code and its title, or has its parent's.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init_subclass__(
        cls, *, status: int | None = None, code: str | None = None, title: str | None = None
    ) -> None:
        given = {"status": status, "code": code, "title": title}
        for name, value in given.items():
            if value is not None:
                setattr(cls, name, value)

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

    def below(self, pointer: str) -> Self:
        """Return this failure of a part of a body that stands at a pointer in the whole body.

        A failure that names no field names the part.

        >>> Absent = type("Absent", (Failure,), {"status": 404, "code": "x.absent", "title": "Not there"})
        >>> [each.pointer for each in Absent().below("/operations/3").errors]
        ['/operations/3']
        """
        whole = Violation(self.detail, self.code, pointer="", hint=self.hint)
        if self.errors and self.errors[0].pointer and self.detail.startswith(f"{self.errors[0].pointer}: "):
            self.detail = pointer + self.detail
        self.errors = tuple(
            replace(each, pointer=pointer + (each.pointer or "")) for each in self.errors or (whole,)
        )
        return self

    def by_pointers(self) -> Self:
        """Return this failure with the members of a body in the place of the parameters of the same names.

        >>> short = Violation("too short", "length", parameter="filter")
        >>> [each.pointer for each in Failure("no", errors=[short]).by_pointers().errors]
        ['/filter']
        """
        self.errors = tuple(
            replace(each, parameter=None, pointer=f"/{each.parameter}") if each.parameter else each
            for each in self.errors
        )
        return self

    def problem(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """Return the RFC 9457 body for this failure at `instance` (the request's path)."""
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


class StartupFailure(Exception):
    """The service cannot start: one sentence that says what is wrong and what to do."""


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return "Did you mean `x`?" for the known word nearest to an unknown one, if any is near.

    >>> suggestion("prise", ["price", "name"])
    'Did you mean `price`?'
    >>> suggestion("zzz", ["price"]) is None
    True
    """
    candidates = list(known)
    if len(candidates) > MAXIMUM_COMPARED:
        candidates = nlargest(MAXIMUM_COMPARED, candidates, key=lambda each: _shared(word, each))
    near = get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else None


def _shared(word: str, other: str) -> int:
    """Count the characters with which two words begin and end alike."""
    ends = ((word, other), (word[::-1], other[::-1]))
    return sum(len(commonprefix(pair)) for pair in ends)  # noqa: RUF071  # by characters, these are no paths


class Malformed(Failure, status=400):
    """The request itself is at fault."""


class RequestInvalid(Malformed, code="request.invalid", title="The request is malformed"):
    """The request line, a header or the framing of the body is malformed."""


class JsonInvalid(Malformed, code="json.invalid", title="The body is not valid JSON"):
    """The body is not the strict JSON that Sheaf reads."""


class ParameterInvalid(Malformed, code="parameter.invalid", title="A query parameter is invalid"):
    """A query parameter is unknown or has a value that it cannot have."""


class DocumentInvalid(Malformed, code="document.invalid", title="The document does not match the schema"):
    """The document does not match its collection's schema; `errors` has every violation."""


class FieldNotWritable(Malformed, code="field.not_writable", title="A field cannot be written"):
    """The body gives a system or read-only field a value that it does not have."""


class IdInvalid(Malformed, code="id.invalid", title="The id is malformed"):
    """The id is not of the type that the collection's ids have."""


class PatchInvalid(Malformed, code="patch.invalid", title="The patch cannot be applied"):
    """The patch is malformed or cannot be applied to the document."""


class BatchInvalid(Malformed, code="batch.invalid", title="The batch is invalid"):
    """The batch's form is wrong, or one of its operations refers to a document that there is not."""


class DefinitionInvalid(
    Malformed, code="definition.invalid", title="The definition of the collection is invalid"
):
    """The collection's name, schema, rules, indexes or options are invalid; nothing was changed."""


class Unauthenticated(Failure, status=401):
    """The client has not said, or not proved, who it is."""

    challenge: ClassVar[str] = 'Bearer realm="sheaf"'

    def __init__(self, detail: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint, headers={"WWW-Authenticate": self.challenge})


class SignInRequired(Unauthenticated, code="auth.required", title="Sign in first"):
    """The action needs a signed-in caller, and the request has no token."""


class TokenInvalid(Unauthenticated, code="auth.token_invalid", title="The access token is not valid"):
    """The bearer token is malformed, expired, revoked or not ours (RFC 6750, 3.1)."""

    challenge = 'Bearer realm="sheaf", error="invalid_token"'


class CredentialsWrong(
    Unauthenticated, code="auth.credentials_wrong", title="The e-mail address or the password is wrong"
):
    """No account has this e-mail address and password; never says which of the two is wrong."""


class Forbidden(Failure, status=403, code="access.denied", title="You may not do this"):
    """The caller is known and may not do this here at all, or not with such an outcome."""


class NotFound(Failure, status=404):
    """There is nothing here that the caller may see."""


class RouteNotFound(NotFound, code="route.not_found", title="There is nothing at this address"):
    """No endpoint has this path."""


class CollectionNotFound(NotFound, code="collection.not_found", title="There is no such collection"):
    """No collection has this name."""


class DocumentNotFound(NotFound, code="document.not_found", title="There is no such document"):
    """No document has this id, or a rule hides it from this caller."""


class MethodNotAllowed(
    Failure, status=405, code="method.not_allowed", title="The method is not allowed here"
):
    """The endpoint exists, but not for this method; `Allow` lists those that it has."""


class Conflict(Failure, status=409):
    """The request is fine, but not with the present state."""


class Duplicate(Conflict, code="document.duplicate", title="A value that must be unique is taken"):
    """A unique field's value is taken by another document; `errors` names the field."""


class CollectionExists(Conflict, code="collection.exists", title="The collection exists already"):
    """A collection of that name exists already."""


class CollectionChanged(
    Conflict, code="collection.changed", title="The definition was changed by somebody else"
):
    """Somebody else changed the definition between this request's read and its write."""


class Contention(Conflict, code="document.contention", title="The document is being changed too often"):
    """Other writers changed the document at each of the bounded retries."""


class TooManyAffected(
    Conflict, code="bulk.too_many_affected", title="More documents match than may be changed"
):
    """More documents match the filter than `max_affected` lets the request change; none was changed."""


class IdempotencyRunning(
    Conflict, code="idempotency.running", title="The first request with this key is still running"
):
    """The first request with this `Idempotency-Key` is not done; try again in `Retry-After` seconds."""

    retry_after_s: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(self.retry_after_s)})


class PatchConflict(Conflict, code="patch.conflict", title="The patch does not fit the document"):
    """The patch assumes a structure that the document does not have (RFC 5789, 2.2)."""


class PatchTestFailed(Conflict, code="patch.test_failed", title="A test of the patch failed"):
    """A `test` operation of a JSON Patch does not hold, so that nothing of the patch was applied."""


class RegistrationClosed(Conflict, code="registration.closed", title="Registration is closed"):
    """The service does not take registrations; an administrator creates the accounts."""


class Stale(Failure, status=412, code="document.stale", title="The document has changed"):
    """`If-Match` names another version than the present one, which `_version` tells (RFC 9110, 13.1.1)."""


class BodyTooLarge(Failure, status=413, code="body.too_large", title="The body is too large"):
    """The request's body is larger than the limit."""


class MediaTypeUnsupported(
    Failure, status=415, code="media_type.unsupported", title="The media type is not supported"
):
    """The body's `Content-Type` or `Content-Encoding` is not one that the endpoint reads."""


class IdempotencyMismatch(
    Failure, status=422, code="idempotency.mismatch", title="The key belongs to another request"
):
    """The `Idempotency-Key` was used for another request; a new request needs a new key."""


class PreconditionRequired(
    Failure, status=428, code="precondition.required", title="Changes here need If-Match"
):
    """The collection demands `If-Match` of every change (RFC 6585, 3)."""


class RateLimited(Failure, status=429, code="rate.limited", title="Too many requests"):
    """The caller has used up its requests for this window; `Retry-After` says how long to wait."""


class TooManyStreams(Failure, status=429, code="changes.too_many_streams", title="Too many open streams"):
    """The caller has as many streams of changes open as one user, or one address, may have."""


class ChangesExpired(Failure, status=410, code="changes.expired", title="The changes since then are gone"):
    """What changed since the cursor is not known any more, or not by the same definition and rights."""


class TooManyFilters(
    Failure,
    status=422,
    code="changes.too_many_filters",
    title="Too many different filters are watched",
):
    """Too many different filters of a collection are watched that have to be asked at every change."""


class NotLive(Conflict, code="changes.not_live", title="The collection is not live"):
    """The collection does not tell its changes: its option `live` is off, or its MongoDB cannot."""


class Internal(Failure, status=500, code="internal", title="Something went wrong on our side"):
    """A fault of ours: logged with its traceback and the request's id, nothing leaked."""


class Unavailable(Failure, status=503):
    """The service cannot answer for a moment; `Retry-After` says when to try again."""

    retry_after_s: ClassVar[int] = 2

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(self.retry_after_s)})


class DatabaseUnavailable(Unavailable, code="database.unavailable", title="The database cannot be reached"):
    """The database cannot be reached."""


class DatabaseTooSlow(Unavailable, code="database.too_slow", title="The database takes too long"):
    """The database did not answer within the time that an operation may take; it has given the work up."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.hint = "If it stays so, ask for less: narrow the filter, and sort, by what an index finds."


class Busy(Unavailable, code="service.busy", title="The service is busy"):
    """A bounded queue is full; the request was not begun."""


class Draining(Unavailable, code="service.draining", title="The service is shutting down"):
    """The service is shutting down and takes no new work."""


class QueryNotFound(NotFound, code="query.not_found", title="There is no such query"):
    """The collection has no saved query of this name."""


class QueryUnfit(Conflict, code="query.unfit", title="The query does not fit the present data"):
    """A saved query meets documents, or another collection, that it cannot compute with."""


class QueryTooExpensive(Failure, status=422, code="query.too_expensive", title="The query takes too much"):
    """A saved query takes more time, memory or room than one request may have."""


class KeyNotFound(NotFound, code="key.not_found", title="There is no such API key"):
    """No API key has this id, or it is another user's."""


class TooManyKeys(Conflict, code="key.too_many", title="There are too many API keys"):
    """The user has as many API keys as a user may have."""


class TokenOutdated(TokenInvalid):
    """The access token was revoked, or its account has changed since; it tells of which session it is."""

    def __init__(self, session_id: str | None = None) -> None:
        super().__init__(
            "The access token is no longer valid", hint="Refresh it; when that is refused, sign in again."
        )
        self.session_id = session_id


class SessionEnded(Unauthenticated, code="auth.session_ended", title="The session has ended; sign in again"):
    """There is no such session any more; never says whether it ended, expired, or never was."""


class CrossSite(
    Failure, status=403, code="auth.cross_site", title="The request does not come from a page of this service"
):
    """A browser's request that does not show that a page of our own sends it."""


class SessionNotFound(NotFound, code="session.not_found", title="There is no such session"):
    """The caller has no session of this id."""


class LastAdministrator(Conflict, code="user.last_admin", title="This is the last administrator"):
    """Nobody would be left who may administer the service."""


class CodeWrong(Unauthenticated, code="auth.code_wrong", title="The code is wrong, or was used already"):
    """The code of the second factor is wrong, or was used before."""


class SignInExpired(
    Unauthenticated, code="auth.sign_in_expired", title="This sign-in has ended; begin again"
):
    """The first step of a sign-in is too long ago, or it is completed, or the account has changed since."""


class Locked(Failure, status=429, code="auth.locked", title="Too many wrong tries"):
    """Too much was guessed at this account or from this address; `Retry-After` says how long to wait."""


class SecondFactorPresent(Conflict, code="second_factor.present", title="There is a second factor already"):
    """The account has a second factor already."""


class SecondFactorAbsent(Conflict, code="second_factor.absent", title="There is no second factor"):
    """The account has no second factor, or none that was begun lately."""


class PasswordWrong(Forbidden, code="password.wrong", title="This is not the present password"):
    """The signed-in caller did not prove to know the account's present password."""


class PasswordAbsent(Conflict, code="password.absent", title="The account has no password"):
    """The account has no password, for it signs in through a provider; a mail can give it one."""


class LinkInvalid(Malformed, code="link.invalid", title="The link is not valid any more"):
    """The token of a mail's link was used, has expired, is void, or is none."""


class EmailUnverified(Forbidden, code="email.unverified", title="The e-mail address is not verified yet"):
    """The credentials are right, but the address must be verified before signing in."""


class EmailVerified(Conflict, code="email.verified", title="The e-mail address is verified already"):
    """The address is verified already."""


class MailNotConfigured(Conflict, code="mail.not_configured", title="This service sends no mails"):
    """What was asked for takes a mail, and the service has no mail server or public URL."""


class FlowInvalid(Malformed, code="auth.flow_invalid", title="This sign-in was not begun here, or has ended"):
    """The sign-in at a provider was not begun in this browser or app, is completed, or took too long."""


class AccountExists(
    Conflict, code="auth.account_exists", title="There is an account with this e-mail address already"
):
    """An account has the address that a provider tells; linking them needs its holder to sign in to it."""


class IdentityTaken(Conflict, code="identity.taken", title="This identity is linked with another account"):
    """The provider's identity is linked with another account, or the account with another identity there."""


class IdentityNotFound(
    NotFound, code="identity.not_found", title="The account is not linked with this provider"
):
    """The account is not linked with this provider."""


class LastSignIn(Conflict, code="identity.last", title="This is the only way to sign in to the account"):
    """Without this identity nobody could sign in to the account any more."""


class ProviderNotFound(NotFound, code="provider.not_found", title="There is no such provider"):
    """The service has no provider of this name."""


class ProviderRefused(Forbidden, code="provider.refused", title="The provider did not sign you in"):
    """The provider did not sign the person in, or does not tell what an account needs."""


class ProviderInvalid(
    Failure, status=502, code="provider.invalid", title="The provider's answer cannot be trusted"
):
    """What the provider answered is malformed, or its token does not hold."""


class ProviderUnavailable(Unavailable, code="provider.unavailable", title="The provider cannot be reached"):
    """The provider cannot be reached, or does not answer in time."""


def catalogue() -> Iterator[type[Failure]]:
    """Yield every failure that a client can meet, in the order of the tree above."""

    def below(parent: type[Failure]) -> Iterator[type[Failure]]:
        for child in parent.__subclasses__():
            if "code" in vars(child):
                yield child
            yield from below(child)

    yield from below(Failure)
