"""Services that run already are found by where they listen; those not told rightly are refused."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from scripts.measuring import processes
from scripts.measuring.requests import Dialect, PlainDialect
from scripts.measuring.serving import ServiceFailedError
from scripts.measuring.session import Session


@pytest.fixture
def session() -> Iterator[Session]:
    with MongoClient[dict[str, Any]]("mongodb://127.0.0.1:1", connect=False) as client, ExitStack() as stack:
        yield Session(client, "mongodb://127.0.0.1:1", [], Path(), stack)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_running_service_is_found_by_its_port(session: Session, port: int) -> None:
    target = session.outside(f"Peer=http://127.0.0.1:{port},database=peer,token=abc,base=/goods")
    assert (target.name, target.host, target.port) == ("Peer", "127.0.0.1", port)
    assert os.getpid() in target.pids
    assert type(target.dialect) is PlainDialect
    assert target.dialect.get(1).path.startswith("/goods/")
    assert target.dialect.create(1).headers["Authorization"] == "Bearer abc"
    assert [each.full_name for each in target.collections] == ["peer.products"]


def test_dialect_of_running_service_can_be_chosen(session: Session, port: int) -> None:
    target = session.outside(f"old=http://127.0.0.1:{port},database=old,dialect=sheaf")
    assert type(target.dialect) is Dialect


@pytest.mark.parametrize(
    "described",
    [
        "Peer",
        "Peer=http://127.0.0.1:80",
        "Peer=127.0.0.1,database=x",
        "Peer=http://h:1,database=x,dialect=odd",
    ],
)
def test_incomplete_service_description_is_refused(session: Session, described: str) -> None:
    with pytest.raises(ServiceFailedError, match="is wanted"):
        session.outside(described)


def test_service_without_listener_is_refused(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(ServiceFailedError, match="nothing listens"):
        session.outside(f"Peer=http://127.0.0.1:{free},database=x")


def test_worker_memory_is_read_from_processes() -> None:
    mine = processes.tree(os.getpid())
    assert os.getpid() in mine
    assert processes.worker_memory_mib([os.getpid()]) > 20
    assert processes.worker_memory_mib([]) == 0
