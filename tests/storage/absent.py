"""A database that is not there."""

from service.storage import database as databases
from service.storage.database import Database


def absent() -> Database:
    """Return a connection to a MongoDB that nobody can reach, and that says so at once."""
    return databases.connect(
        "mongodb://127.0.0.1:1/?replicaSet=none",
        "none",
        pool_size=1,
        selection_timeout_s=0.2,
        operation_timeout_s=0.3,
    )
