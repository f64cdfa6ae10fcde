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

from service.kit.errors.base import (
    MAXIMUM_VIOLATIONS,
    PROBLEM_MEDIA_TYPE,
    TYPE_PREFIX,
    Failure,
    StartupFailure,
    Violation,
    catalogue,
    suggestion,
)
from service.kit.errors.http import (
    BatchInvalid,
    BodyTooLarge,
    Busy,
    CollectionChanged,
    CollectionExists,
    CollectionNotFound,
    Conflict,
    Contention,
    CredentialsWrong,
    DatabaseTooSlow,
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
    QueryNotFound,
    QueryTooExpensive,
    QueryUnfit,
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
from service.kit.errors.identity import (
    AccountExists,
    CodeWrong,
    CrossSite,
    EmailUnverified,
    EmailVerified,
    FlowInvalid,
    IdentityNotFound,
    IdentityTaken,
    KeyNotFound,
    LastAdministrator,
    LastSignIn,
    LinkInvalid,
    Locked,
    MailNotConfigured,
    PasswordAbsent,
    PasswordWrong,
    ProviderInvalid,
    ProviderNotFound,
    ProviderRefused,
    ProviderUnavailable,
    SecondFactorAbsent,
    SecondFactorPresent,
    SessionEnded,
    SessionNotFound,
    SignInExpired,
    TokenOutdated,
    TooManyKeys,
)

__all__ = [
    "MAXIMUM_VIOLATIONS",
    "PROBLEM_MEDIA_TYPE",
    "TYPE_PREFIX",
    "AccountExists",
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
    "CrossSite",
    "DatabaseTooSlow",
    "DatabaseUnavailable",
    "DefinitionInvalid",
    "DocumentInvalid",
    "DocumentNotFound",
    "Draining",
    "Duplicate",
    "EmailUnverified",
    "EmailVerified",
    "Failure",
    "FieldNotWritable",
    "FlowInvalid",
    "Forbidden",
    "IdInvalid",
    "IdempotencyMismatch",
    "IdempotencyRunning",
    "IdentityNotFound",
    "IdentityTaken",
    "Internal",
    "JsonInvalid",
    "KeyNotFound",
    "LastAdministrator",
    "LastSignIn",
    "LinkInvalid",
    "Locked",
    "MailNotConfigured",
    "Malformed",
    "MediaTypeUnsupported",
    "MethodNotAllowed",
    "NotFound",
    "ParameterInvalid",
    "PasswordAbsent",
    "PasswordWrong",
    "PatchConflict",
    "PatchInvalid",
    "PatchTestFailed",
    "PreconditionRequired",
    "ProviderInvalid",
    "ProviderNotFound",
    "ProviderRefused",
    "ProviderUnavailable",
    "QueryNotFound",
    "QueryTooExpensive",
    "QueryUnfit",
    "RateLimited",
    "RegistrationClosed",
    "RequestInvalid",
    "RouteNotFound",
    "SecondFactorAbsent",
    "SecondFactorPresent",
    "SessionEnded",
    "SessionNotFound",
    "SignInExpired",
    "SignInRequired",
    "Stale",
    "StartupFailure",
    "TokenInvalid",
    "TokenOutdated",
    "TooManyAffected",
    "TooManyKeys",
    "Unauthenticated",
    "Unavailable",
    "Violation",
    "catalogue",
    "suggestion",
]
