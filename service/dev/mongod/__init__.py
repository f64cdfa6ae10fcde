"""A private MongoDB for development and tests: found, started on a leash, alone or in a set, stopped."""

from service.dev.mongod.process import PrivateServer, running, start
from service.dev.mongod.replica_set import ReplicaSet, start_set
from service.dev.mongod.search import Server, find

__all__ = ["PrivateServer", "ReplicaSet", "Server", "find", "running", "start", "start_set"]
