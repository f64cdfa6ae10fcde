"""Which failures of the engine the operations on a collection can meet, by what they do."""

from service.kit.errors import (
    CollectionNotFound,
    Contention,
    DocumentInvalid,
    DocumentNotFound,
    Duplicate,
    Failure,
    FieldNotWritable,
    Forbidden,
    IdempotencyMismatch,
    IdempotencyRunning,
    IdInvalid,
    ParameterInvalid,
    PatchConflict,
    PatchInvalid,
    PatchTestFailed,
    PreconditionRequired,
    SignInRequired,
    Stale,
)

Kinds = tuple[type[Failure], ...]

IN_COLLECTION: Kinds = (SignInRequired, Forbidden, CollectionNotFound, ParameterInvalid)
ON_ONE: Kinds = (*IN_COLLECTION, DocumentNotFound, IdInvalid)
OF_CHECKS: Kinds = (DocumentInvalid, FieldNotWritable, Duplicate, Contention)
OF_VERSIONS: Kinds = (Stale, PreconditionRequired)
OF_KEYS: Kinds = (IdempotencyMismatch, IdempotencyRunning)
OF_PATCHES: Kinds = (PatchInvalid, PatchConflict, PatchTestFailed)
