"""MongoDB's error codes, and which errors pass by themselves.

Names are those of MongoDB's `error_codes.yml`; codes from 10000 on that have none there are named for what
the server says with them.
"""

from collections.abc import Iterator

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from service.kit.errors import Contention, Unavailable

BAD_VALUE = 2
NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27
NAMESPACE_EXISTS = 48
WRITE_CONCERN_TIMEOUT = 64
NOT_YET_INITIALIZED = 94
DUPLICATE_KEY = 11000
AMBIGUOUS_SORT = 16746

INDEX_CONFLICTS = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict: an index of the same name or keys is there already."""

UNREADABLE_COMMANDS = frozenset({15, 22, 10334})
"""Of a command that cannot be read for what is in a document: nothing of it was done."""

DOCUMENT_TOO_LARGE = frozenset({10334, 17419, 17420})
"""Of a document beyond 16 MB, as it is or as an update would make it."""

RESULT_TOO_LARGE = DOCUMENT_TOO_LARGE | {4568, 13548, 16493}
"""Of a document, a text or what `$lookup` finds beyond 16 MB."""

MEMORY_EXCEEDED = frozenset({146, 292, 16819, 16945})
"""Of a stage beyond its 100 MB, which may not go to disk."""

HISTORY_LOST = frozenset({280, 286})
"""ChangeStreamFatalError, ChangeStreamHistoryLost: of a change stream that cannot go on from where it is."""

UNFIT_VALUES = frozenset({BAD_VALUE, 14, 15, 159, 241})
"""Of a computation: bad values, other types, overflows, failed conversions."""

FIRST_ASSERTION = 14_000
"""From here on most codes have no names: single functions were given what they do not take."""

UNINDEXABLE = frozenset({171, 16755, 16756, 17280})
"""Of a value that an index cannot hold: parallel arrays, malformed geometry, a key that is too long."""

NO_SORT_KEY = frozenset({168, 31325})
"""Of a server without `$meta: "sortKey"`, such as the substitute for development."""

NOT_PRIMARY = frozenset({91, 189, 10058, 10107, 11600, 11602, 13435, 13436})
"""Of a member of a replica set that is no longer, or not yet, the one that takes writes."""

UNREACHABLE = frozenset({6, 7, 89, 134, 262, 9001})
"""Of a server that is cut off, or not ready yet: the driver tries again after these and NOT_PRIMARY."""

INTERRUPTED = frozenset(
    {24, 43, 50, 175, 202, 237, 276, 279, 281, 282, 290, 355, 11601}  # CursorNotFound, MaxTimeMSExpired, …
)
"""Of work that was broken off, by a time limit, a change of the primary or an operator."""

CONTENDED = frozenset({46, 112, 117, 215, 225, 239, 246, 250, 251, 267, 272, 285})
"""Of work that met other work: WriteConflict, SnapshotUnavailable, NoSuchTransaction, …"""

RECONFIGURED = frozenset({109, 133, 145, 150, 216, 234, 249, 303, 372, 391, 13388})
"""Of a cluster whose members, primary or shards change: ElectionInProgress, StaleConfig, …"""

OVERLOADED = frozenset({317, 365, 384, 402, 407, 433, 449})
"""Of a server that has too much to do."""

TRANSIENT_CODES = (
    NOT_PRIMARY | UNREACHABLE | INTERRUPTED | CONTENDED | RECONFIGURED | OVERLOADED | {WRITE_CONCERN_TIMEOUT}
)

TRANSIENT_TRANSACTION, UNKNOWN_COMMIT = "TransientTransactionError", "UnknownTransactionCommitResult"
"""Labels of errors after which a transaction, or its commit alone, is tried again."""

RETRYABLE = "RetryableError"
"""Label of an error of an overloaded server."""

TRANSIENT_LABELS = (
    TRANSIENT_TRANSACTION,
    UNKNOWN_COMMIT,
    RETRYABLE,
    "RetryableWriteError",
    "ResumableChangeStreamError",
    "SystemOverloadedError",
)

NO_SESSIONS = "Sessions are not supported"
"""How the error begins of a connection that was made while its server was between two states."""


def is_transient(error: BaseException) -> bool:
    """Return whether an error passes by itself, so that the same call may succeed a little later.

    Transient are lost and refused connections, changes of the primary, time limits, overload and contention.
    Permanent are errors of credentials, commands, documents, indexes and room on the disk, and all that are
    not known: to try those again would be to try for ever.

    >>> is_transient(OperationFailure("stepped down", 189)), is_transient(OperationFailure("no access", 18))
    (True, False)
    """
    if isinstance(error, PyMongoError):
        return (
            error.timeout
            or isinstance(error, ConnectionFailure)
            or any(map(error.has_error_label, TRANSIENT_LABELS))
            or not TRANSIENT_CODES.isdisjoint(_codes(error))
            or (isinstance(error, ConfigurationError) and str(error).startswith(NO_SESSIONS))
        )
    return isinstance(error, Unavailable | Contention | TimeoutError | ConnectionError)


def _codes(error: PyMongoError) -> Iterator[int]:
    """Return MongoDB's codes of what failed; of a bulk write, those of waiting for the majority."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        unconfirmed = details.get("writeConcernErrors") or ()
        # A refused document stays refused; where all of the refusals pass, so does the whole.
        refused = {each.get("code", 0) for each in details.get("writeErrors") or ()}
        yield from (each.get("code", 0) for each in unconfirmed)
        if refused and refused <= TRANSIENT_CODES:
            yield from refused
    elif isinstance(error, OperationFailure) and error.code is not None:
        yield error.code
