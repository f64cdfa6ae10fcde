import socket
import sys
from collections.abc import Iterator

import pytest

from service.runtime.server.address import find
from service.runtime.server.listening import Listening

CONNECTIONS = 48

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told where connections go")


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening(find("127.0.0.1", 0), 3, stall_s=20)
    yield made
    made.close()


def connect(listening: Listening) -> None:
    with socket.create_connection(listening._sockets[0].getsockname(), timeout=5):
        pass


def waiting(listening: Listening) -> list[int]:
    """Connect often, and count the connections that wait at each socket."""
    for _ in range(CONNECTIONS):
        connect(listening)
    counts = []
    for one in listening._sockets:
        counts.append(0)
        while True:
            try:
                one.accept()[0].close()
            except BlockingIOError:
                break
            counts[-1] += 1
    return counts


def test_socket_that_is_not_open_refuses_connections(listening: Listening) -> None:
    listening.steer([0, 1])
    with pytest.raises(ConnectionRefusedError):
        connect(listening)


def test_new_connections_are_spread_over_steered_slots_only(
    listening: Listening,
) -> None:
    listening.steer([0, 2])
    listening.open()
    first, second, third = waiting(listening)
    assert (first + third, second) == (CONNECTIONS, 0)
    assert min(first, third) > 0
    listening.steer([1])
    assert waiting(listening) == [0, CONNECTIONS, 0]


def test_waiting_connections_stay_in_slot_after_steering(listening: Listening) -> None:
    listening.steer([1])
    listening.open()
    connect(listening)
    listening.steer([0])
    assert waiting(listening) == [CONNECTIONS, 1, 0]
