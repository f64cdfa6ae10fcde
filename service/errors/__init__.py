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
    │   ├── BatchInvalid              batch.invalid          a batch's form, or a reference in it
    │   └── DefinitionInvalid         definition.invalid     a collection's schema, rules, indexes or options
    ├── Unauthenticated           401
    │   ├── SignInRequired            auth.required
    │   ├── TokenInvalid              auth.token_invalid
    │   ├── CodeWrong                 auth.code_wrong        of the second factor: wrong, or used before
    │   ├── SignInExpired             auth.sign_in_expired   the first step of a sign-in is void
    │   └── CredentialsWrong          auth.credentials_wrong
    ├── Forbidden                 403 access.denied
    ├── NotFound                  404
    │   ├── RouteNotFound             route.not_found
    │   ├── CollectionNotFound        collection.not_found
    │   ├── DocumentNotFound          document.not_found     absent, or hidden by a rule
    │   └── QueryNotFound             query.not_found        no saved query of that name
    ├── MethodNotAllowed          405 method.not_allowed
    ├── Conflict                  409
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
    │   └── RegistrationClosed        registration.closed
    ├── Stale                     412 document.stale         If-Match names another version
    ├── BodyTooLarge              413 body.too_large
    ├── MediaTypeUnsupported      415 media_type.unsupported
    ├── QueryTooExpensive         422 query.too_expensive    more time, memory or room than allowed
    ├── IdempotencyMismatch       422 idempotency.mismatch   another request had this key
    ├── PreconditionRequired      428 precondition.required  the collection wants If-Match
    ├── RateLimited               429 rate.limited
    ├── Locked                    429 auth.locked            too many wrong passwords or codes
    ├── Internal                  500 internal
    └── Unavailable               503
        ├── DatabaseUnavailable       database.unavailable
        ├── Busy                      service.busy
        └── Draining                  service.draining

    StartupFailure                    not HTTP: the service cannot start; one sentence for the terminal

A code is public: once released it is never renamed and never reused. Pure Python; imports nothing of ours.
"""

from service.errors.base import (
    MAXIMUM_VIOLATIONS,
    PROBLEM_MEDIA_TYPE,
    TYPE_PREFIX,
    Failure,
    StartupFailure,
    Violation,
    catalogue,
    suggestion,
)
from service.errors.http import (
    BatchInvalid,
    BodyTooLarge,
    Busy,
    CollectionChanged,
    CollectionExists,
    CollectionNotFound,
    Conflict,
    Contention,
    CredentialsWrong,
    DatabaseUnavailable,
    DefinitionInvalid,
    DocumentInvalid,
    DocumentNotFound,
    Draining,
    Duplicate,
    FieldNotWritable,
    Forbidden,
    IdempotencyMismatch,
    IdempotencyRunning,
    IdInvalid,
    Internal,
    JsonInvalid,
    Malformed,
    MediaTypeUnsupported,
    MethodNotAllowed,
    NotFound,
    ParameterInvalid,
    PatchConflict,
    PatchInvalid,
    PatchTestFailed,
    PreconditionRequired,
    RateLimited,
    RegistrationClosed,
    RequestInvalid,
    RouteNotFound,
    SignInRequired,
    Stale,
    TokenInvalid,
    TooManyAffected,
    Unauthenticated,
    Unavailable,
)
from service.errors.identity import (
    CodeWrong,
    LastAdministrator,
    Locked,
    SecondFactorAbsent,
    SecondFactorPresent,
    SignInExpired,
)
from service.errors.queries import QueryNotFound, QueryTooExpensive, QueryUnfit

__all__ = [
    "MAXIMUM_VIOLATIONS",
    "PROBLEM_MEDIA_TYPE",
    "TYPE_PREFIX",
    "BatchInvalid",
    "BodyTooLarge",
    "Busy",
    "CodeWrong",
    "CollectionChanged",
    "CollectionExists",
    "CollectionNotFound",
    "Conflict",
    "Contention",
    "CredentialsWrong",
    "DatabaseUnavailable",
    "DefinitionInvalid",
    "DocumentInvalid",
    "DocumentNotFound",
    "Draining",
    "Duplicate",
    "Failure",
    "FieldNotWritable",
    "Forbidden",
    "IdInvalid",
    "IdempotencyMismatch",
    "IdempotencyRunning",
    "Internal",
    "JsonInvalid",
    "LastAdministrator",
    "Locked",
    "Malformed",
    "MediaTypeUnsupported",
    "MethodNotAllowed",
    "NotFound",
    "ParameterInvalid",
    "PatchConflict",
    "PatchInvalid",
    "PatchTestFailed",
    "PreconditionRequired",
    "QueryNotFound",
    "QueryTooExpensive",
    "QueryUnfit",
    "RateLimited",
    "RegistrationClosed",
    "RequestInvalid",
    "RouteNotFound",
    "SecondFactorAbsent",
    "SecondFactorPresent",
    "SignInExpired",
    "SignInRequired",
    "Stale",
    "StartupFailure",
    "TokenInvalid",
    "TooManyAffected",
    "Unauthenticated",
    "Unavailable",
    "Violation",
    "catalogue",
    "suggestion",
]
