"""Concurrent reads share queries, and creates share inserts: what waits for a thread goes together."""

from service.documents.joining.creates import JoinedCreates
from service.documents.joining.lists import JoinedLists
from service.documents.joining.reads import JoinedReads

__all__ = ["JoinedCreates", "JoinedLists", "JoinedReads"]
