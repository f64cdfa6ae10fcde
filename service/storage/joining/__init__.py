"""Concurrent reads share queries, and creates share inserts: what waits for a thread goes together."""

from service.storage.joining.creates import JoinedCreates
from service.storage.joining.lists import JoinedLists
from service.storage.joining.reads import JoinedReads

__all__ = ["JoinedCreates", "JoinedLists", "JoinedReads"]
