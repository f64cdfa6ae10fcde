"""Which errors of the driver are transient: a table of all kinds, and the failures that clients are told."""

from typing import Any

import pytest
from pymongo import errors
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    DocumentTooLarge,
    DuplicateKeyError,
    EncryptionError,
    ExecutionTimeout,
    InvalidOperation,
    InvalidURI,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ProtocolError,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from service.kit.errors import Busy, Contention, DatabaseUnavailable, Duplicate
from service.storage.codes import NOT_PRIMARY, TRANSIENT_CODES, TRANSIENT_LABELS, UNREACHABLE, is_transient


def labelled(label: str) -> PyMongoError:
    return PyMongoError("labelled", error_labels=[label])


def bulk(**details: Any) -> BulkWriteError:
    return BulkWriteError(details)


TRANSIENT = [
    ConnectionFailure("gone"),
    AutoReconnect("connection closed"),
    NetworkTimeout("slow"),
    NotPrimaryError("stepped down"),
    ServerSelectionTimeoutError("no primary"),
    WaitQueueTimeoutError("no connection became free"),
    ExecutionTimeout("slow", 50),
    CursorNotFound("of the server before", 43),
    WTimeoutError("not confirmed", 64),
    WriteConcernError("stepped down", 189),
    ConfigurationError("Sessions are not supported by this MongoDB deployment"),
    EncryptionError(NetworkTimeout("slow")),
    bulk(writeConcernErrors=[{"code": 91}]),
    bulk(writeErrors=[{"code": 11000}], writeConcernErrors=[{"code": 11602}]),
    bulk(writeErrors=[{"code": 112}, {"code": 189}]),
    *map(labelled, TRANSIENT_LABELS),
    DatabaseUnavailable(),
    Busy(),
    Contention(),
    TimeoutError(),
    ConnectionResetError(),
]

PERMANENT = [
    PyMongoError("another"),
    ConfigurationError("Server at db:27017 reports wire version 5"),
    InvalidURI("no host"),
    InvalidOperation("Cannot use MongoClient after close"),
    ProtocolError("bad reply"),
    EncryptionError(ValueError("no key")),
    DocumentTooLarge("17 MB"),
    DuplicateKeyError("taken", 11000),
    WriteError("does not validate", 121),
    WriteConcernError("not enough members", 100),
    labelled("NoWritesPerformed"),
    bulk(),
    bulk(writeErrors=[{"code": 11000}]),
    bulk(writeErrors=[{"code": 112}, {"code": 121}]),
    bulk(writeConcernErrors=[{"code": 79}]),
    Duplicate(),
    ValueError("a fault of ours"),
]

TRANSIENT_ON_THE_SERVER = {
    "HostUnreachable": 6,
    "HostNotFound": 7,
    "LockTimeout": 24,
    "CursorNotFound": 43,
    "MaxTimeMSExpired": 50,
    "WriteConcernTimeout": 64,
    "NetworkTimeout": 89,
    "ShutdownInProgress": 91,
    "WriteConflict": 112,
    "FailedToSatisfyReadPreference": 133,
    "ReadConcernMajorityNotAvailableYet": 134,
    "QueryPlanKilled": 175,
    "PrimarySteppedDown": 189,
    "NetworkInterfaceExceededTimeLimit": 202,
    "ElectionInProgress": 216,
    "SnapshotUnavailable": 246,
    "NoSuchTransaction": 251,
    "ExceededTimeLimit": 262,
    "IndexBuildAborted": 276,
    "IndexBuildAlreadyInProgress": 285,
    "TransactionExceededLifetimeLimitSeconds": 290,
    "TemporarilyUnavailable": 365,
    "ReauthenticationRequired": 391,
    "SocketException": 9001,
    "NotWritablePrimary": 10107,
    "InterruptedAtShutdown": 11600,
    "Interrupted": 11601,
    "InterruptedDueToReplStateChange": 11602,
    "StaleConfig": 13388,
    "NotPrimaryNoSecondaryOk": 13435,
    "NotPrimaryOrSecondary": 13436,
}

PERMANENT_ON_THE_SERVER = {
    "BadValue": 2,
    "Unauthorized": 13,
    "TypeMismatch": 14,
    "AuthenticationFailed": 18,
    "IllegalOperation": 20,
    "InvalidBSON": 22,
    "NamespaceNotFound": 26,
    "IndexNotFound": 27,
    "CommandNotFound": 59,
    "CannotCreateIndex": 67,
    "InvalidNamespace": 73,
    "UnknownReplWriteConcern": 79,
    "IndexOptionsConflict": 85,
    "IndexKeySpecsConflict": 86,
    "UnsatisfiableWriteConcern": 100,
    "CommandNotSupported": 115,
    "DocumentValidationFailure": 121,
    "NotAReplicaSet": 123,
    "ExceededMemoryLimit": 146,
    "CannotIndexParallelArrays": 171,
    "InvalidIndexSpecificationOption": 197,
    "ChangeStreamHistoryLost": 286,
    "QueryExceededMemoryLimitNoDiskUseAllowed": 292,
    "UserWritesBlocked": 371,
    "AtlasError, such as a quota": 8000,
    "BSONObjectTooLarge": 10334,
    "DuplicateKey": 11000,
    "OutOfDiskSpace": 14031,
    "a value that a geo index cannot hold": 16755,
}


def named(error: BaseException) -> str:
    return f"{type(error).__name__} {error}"


@pytest.mark.parametrize("error", TRANSIENT, ids=named)
def test_temporary_error_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", PERMANENT, ids=named)
def test_lasting_error_is_permanent(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize("name", TRANSIENT_ON_THE_SERVER)
def test_temporary_server_code_is_transient(name: str) -> None:
    assert is_transient(OperationFailure(name, TRANSIENT_ON_THE_SERVER[name]))


@pytest.mark.parametrize("name", PERMANENT_ON_THE_SERVER)
def test_lasting_server_code_is_permanent(name: str) -> None:
    assert not is_transient(OperationFailure(name, PERMANENT_ON_THE_SERVER[name]))


def test_failure_without_code_is_permanent() -> None:
    assert not is_transient(OperationFailure("of a very old server"))


def test_table_contains_every_error_class_of_driver() -> None:
    classes = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PyMongoError)
    }
    seen = {type(error) for error in [*TRANSIENT, *PERMANENT]} | {OperationFailure}
    of_apis_that_are_not_used = {
        "ClientBulkWriteException",
        "CollectionInvalid",
        "EncryptedCollectionError",
        "InvalidName",
        "_OperationCancelled",
    }
    assert {kind.__name__ for kind in classes - seen} == of_apis_that_are_not_used


def test_retryable_codes_match_driver_and_are_transient() -> None:
    from pymongo.helpers_shared import _RETRYABLE_ERROR_CODES  # noqa: PLC0415  # private: the test alone

    assert NOT_PRIMARY | UNREACHABLE == _RETRYABLE_ERROR_CODES
    assert _RETRYABLE_ERROR_CODES <= TRANSIENT_CODES
