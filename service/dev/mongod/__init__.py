"""A private MongoDB for development and tests: found, started under a watchdog, alone or in a set."""

from service.dev.mongod.process import PrivateServer, running, start
from service.dev.mongod.replica_set import ReplicaSet, start_set
from service.dev.mongod.search import Server, find

__all__ = ["PrivateServer", "ReplicaSet", "Server", "find", "running", "start", "start_set"]
