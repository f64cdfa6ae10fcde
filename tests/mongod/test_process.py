"""The private MongoDB, for real: servers are started, killed and started again."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure

from service.dev import mongod
from service.dev.mongod import PrivateServer, Server, watchdog
from service.dev.mongod.search import PROGRAMS
from service.kit.errors import StartupFailure

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")

# Starts a server and forks, as a process does whose workers are forks; then waits to be killed.
OWNER = """
import os, sys, time
from pathlib import Path
from service.dev import mongod
private = mongod.start(Path(sys.argv[1]))
if os.fork() == 0:
    time.sleep(8)
    os._exit(0)
print(private.address, private._watchdog.pid, flush=True)
time.sleep(60)
"""


def connect(private: PrivateServer) -> "MongoClient[dict[str, Any]]":
    return MongoClient(private.uri, serverSelectionTimeoutMS=2000)


def is_listening(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def comes_true(claim: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    with mongod.start(tmp_path_factory.mktemp("private")) as server:
        yield server


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str, int]]:
    process = subprocess.Popen(  # noqa: S603 - the text above
        [sys.executable, "-c", OWNER, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        address, watchdog_pid = process.stdout.readline().split()
        yield process, address, int(watchdog_pid)
        process.kill()


def test_private_server_has_transactions(private: PrivateServer) -> None:
    with connect(private) as client:
        collection = client["transactions"]["pairs"]
        with client.start_session() as session, session.start_transaction():
            collection.insert_one({"_id": 1}, session=session)
            collection.insert_one({"_id": 2}, session=session)
        with client.start_session() as session:
            session.start_transaction()
            collection.insert_one({"_id": 3}, session=session)
            session.abort_transaction()
        assert [found["_id"] for found in collection.find()] == [1, 2]


def test_private_server_has_change_streams(private: PrivateServer) -> None:
    with connect(private) as client:
        collection = client["streams"]["notes"]
        with collection.watch() as changes:
            collection.insert_one({"_id": 1})
            assert changes.next()["fullDocument"] == {"_id": 1}


def test_write_is_acknowledged_only_once_journaled(private: PrivateServer) -> None:
    with connect(private) as client:
        assert client.write_concern.document == {"w": "majority"}
        config = client.admin.command("replSetGetConfig")["config"]
        assert config["writeConcernMajorityJournalDefault"] is True


def test_private_server_listens_on_loopback_only(private: PrivateServer) -> None:
    with connect(private) as client:
        net = client.admin.command("getCmdLineOpts")["parsed"]["net"]
    assert net["bindIp"] == "127.0.0.1"
    assert net["unixDomainSocket"] == {"enabled": False}
    assert private.address == f"127.0.0.1:{net['port']}"


def test_private_server_has_private_files(tmp_path: Path) -> None:
    home = tmp_path / "new" / "data"
    mongod.start(home).stop()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir())}
    assert modes.pop("mongodb.port") & 0o022 == 0
    assert modes == {"data": 0o700, "mongodb": 0o700, "mongodb.log": 0o600, "mongodb.lock": 0o600}


def test_stopping_private_server_twice_is_harmless(tmp_path: Path) -> None:
    server = mongod.start(tmp_path)
    assert is_listening(server.address)
    server.stop()
    server.stop()
    assert not server.is_running
    assert not is_listening(server.address)


def test_restart_keeps_data_port_and_previous_log(tmp_path: Path) -> None:
    with mongod.start(tmp_path) as first, connect(first) as client:
        client["sheaf"]["notes"].insert_one({"_id": "kept"})
    with mongod.start(tmp_path) as second, connect(second) as client:
        assert second.address == first.address
        assert list(client["sheaf"]["notes"].find()) == [{"_id": "kept"}]
    assert (tmp_path / "mongodb.log.1").stat().st_size > 0


def test_restart_on_another_port_keeps_data(tmp_path: Path) -> None:
    with mongod.start(tmp_path) as first, connect(first) as client:
        client["sheaf"]["notes"].insert_one({"_id": "kept"})
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, port = first.address.split(":")
        squatter.bind((host, int(port)))
        squatter.listen()
        threading.Thread(target=_hang_up, args=(squatter,), daemon=True).start()
        with mongod.start(tmp_path) as second, connect(second) as client:
            assert second.address != first.address
            assert client.admin.command("hello")["hosts"] == [second.address]
            assert list(client["sheaf"]["notes"].find()) == [{"_id": "kept"}]
            client["sheaf"]["notes"].insert_one({"_id": "new"})


def _hang_up(squatter: socket.socket) -> None:
    with suppress(OSError):
        while True:
            squatter.accept()[0].close()


def test_killed_server_loses_no_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    server = mongod.start(tmp_path)
    killer = threading.Timer(0.5, os.kill, (server.pid, signal.SIGKILL))
    with closing(connect(server)) as client:
        notes = client["sheaf"]["notes"]
        killer.start()
        with suppress(ConnectionFailure):
            for number in range(1_000_000):
                notes.insert_one({"_id": number})
                acknowledged.append(number)
    assert comes_true(lambda: not server.is_running, within_s=5)
    server.stop()
    with mongod.start(tmp_path) as again, connect(again) as client:
        kept = [found["_id"] for found in client["sheaf"]["notes"].find(sort=[("_id", 1)])]
    assert len(acknowledged) > 0
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1


def test_server_of_killed_owner_ends_and_can_be_restarted(
    owner: tuple["subprocess.Popen[str]", str, int], tmp_path: Path
) -> None:
    process, address, _ = owner
    process.kill()
    process.wait()
    with mongod.start(tmp_path / "data") as again, connect(again) as client:
        assert client.admin.command("hello")["hosts"] == [again.address]
    assert comes_true(lambda: not is_listening(address), within_s=5)


@linux_only
def test_server_ends_even_if_watchdog_is_killed_with_owner(
    owner: tuple["subprocess.Popen[str]", str, int],
) -> None:
    process, address, watchdog_pid = owner
    process.kill()
    os.kill(watchdog_pid, signal.SIGKILL)
    assert comes_true(lambda: not is_listening(address), within_s=10)


def test_signals_to_watchdog_do_not_end_the_server(private: PrivateServer) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(private._watchdog.pid, number)
    time.sleep(0.2)
    assert private.is_running
    assert is_listening(private.address)


def test_directory_in_use_is_refused_naming_the_process(tmp_path: Path) -> None:
    with mongod.start(tmp_path) as first:
        with pytest.raises(StartupFailure) as refusal:
            mongod.start(tmp_path)
        assert is_listening(first.address)
    assert str(refusal.value) == (
        f"The data directory {tmp_path} is in use by process {os.getpid()};"
        " stop it, or choose another with --data or SHEAF_DATA."
    )


def test_server_started_by_wrapper_is_known_and_ended(private: PrivateServer, tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n"{private._server.path}" "$@"\nexit $?\n', encoding="utf-8")
    wrapper.chmod(0o755)
    with mongod.start(tmp_path, server=Server("mongod", wrapper)) as wrapped, connect(wrapped) as client:
        assert client.admin.command("serverStatus")["pid"] == wrapped.pid
    assert comes_true(lambda: not is_listening(wrapped.address), within_s=5)


def test_log_of_long_run_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "log"
    wrote = watchdog.LOG_LIMIT_BYTES + 1
    chatty = f"import sys, time; sys.stderr.write('x' * {wrote}); sys.stderr.flush(); time.sleep(60)"
    with (
        log.open("ab") as appended,
        (tmp_path / "lock").open("wb") as lock,
        subprocess.Popen(  # noqa: S603 - the text above
            [
                *(sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), str(lock.fileno())),
                *(sys.executable, "-c", chatty),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=appended,
            pass_fds=(lock.fileno(),),
        ) as process,
    ):
        assert comes_true(lambda: log.stat().st_size >= wrote, within_s=5)
        assert comes_true(lambda: log.stat().st_size == 0, within_s=5)
        process.communicate(b".")


def test_substitute_keeps_data_across_restart(tmp_path: Path) -> None:
    program = shutil.which(PROGRAMS["secantus"]) or shutil.which(
        PROGRAMS["secantus"], path=str(Path(sys.executable).parent)
    )
    assert program is not None
    server = Server("secantus", Path(program))
    for number in range(2):
        with mongod.start(tmp_path, server=server) as started, connect(started) as client:
            client["sheaf"]["notes"].insert_one({"_id": number})
            assert client["sheaf"]["notes"].count_documents({}) == number + 1
