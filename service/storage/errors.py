"""Errors of the driver: the names by which other rooms catch them, and the failures that clients are told."""

from beanie.exceptions import CollectionWasNotInitialized
from pymongo.errors import (
    ConfigurationError,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)

from service.kit.errors import DatabaseTooSlow, DatabaseUnavailable, Failure, Internal
from service.storage.codes import is_transient

DatabaseError = PyMongoError
"""What every call of the database may raise, also through Beanie."""

CommandFailed = OperationFailure
"""What the database itself answers to a command that it did not, or could not, carry out; has a `code`."""

DuplicateKey = DuplicateKeyError
"""What a write raises that would have two documents share what must be unique."""

OUT_OF_TIME = "MaxTimeMSExpired"
"""MongoDB's own word, which the driver's own timeouts, met before anything is sent, lack."""


def failure_of(error: Exception) -> Failure:
    """Return the failure that a client is told when the database, or code of ours, raises an error.

    >>> type(failure_of(DatabaseError("a secret"))).__name__
    'Internal'
    """
    if isinstance(error, ExecutionTimeout) and (error.details or {}).get("codeName") == OUT_OF_TIME:
        return DatabaseTooSlow()
    # A server that the driver cannot work with, or, for Beanie, one that was away at the start and still is.
    is_unusable = isinstance(error, ConfigurationError | CollectionWasNotInitialized)
    is_away = isinstance(error, DatabaseError) and is_transient(error)
    return DatabaseUnavailable() if is_unusable or is_away else Internal()
