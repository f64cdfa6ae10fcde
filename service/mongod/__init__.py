"""A private MongoDB for development and tests: found, started on a leash, stopped cleanly."""

from service.mongod.process import PrivateServer, running, start
from service.mongod.search import Server, find

__all__ = ["PrivateServer", "Server", "find", "running", "start"]
