"""The one-node replica set of a private server: transactions and change streams need one."""

from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from service.storage.codes import NOT_YET_INITIALIZED

# A single node has nobody to wait for before it elects itself.
ELECTIONS = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 500}


def is_primary(client: MongoClient[dict[str, Any]], name: str, address: str) -> bool:
    """Tell whether the client's server is primary, and bring it nearer to that if it is not: call it again.

    `name` is the set's, `address` the server's `host:port`. Raises PyMongoError while the server is starting.
    """
    if client.admin.command("hello")["isWritablePrimary"]:
        return True
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        member = {"_id": 0, "host": address}
        client.admin.command("replSetInitiate", {"_id": name, "members": [member], "settings": ELECTIONS})
        return False
    if config["members"][0]["host"] != address:
        config["members"][0]["host"] = address
        # The data remembers another port. Only a primary takes a change without force, and this node is none.
        client.admin.command("replSetReconfig", config, force=True)
    return False
