import socket

import pytest

from service.kit.errors import StartupFailure
from service.runtime.server import find


@pytest.mark.parametrize(
    ("host", "url", "reachable_ip"),
    [
        ("127.0.0.1", "http://127.0.0.1:", "127.0.0.1"),
        ("localhost", "http://localhost:", "127.0.0.1"),
        ("0.0.0.0", "http://0.0.0.0:", "127.0.0.1"),  # noqa: S104 - what containers listen on
    ],
)
def test_address_with_port_zero_gets_free_port(host: str, url: str, reachable_ip: str) -> None:
    address = find(host, 0)
    assert address.port > 0
    assert address.url == f"{url}{address.port}"
    assert address.reachable_ip == reachable_ip


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("no such host", "SHEAF_HOST is wrong: `no such host` is not an address or a known name."),
        ("300.1.2.3", "SHEAF_HOST is wrong: `300.1.2.3` is not an address or a known name."),
        ("a" * 300, f"SHEAF_HOST is wrong: `{'a' * 300}` is not an address or a known name."),
        ("192.0.2.1", "SHEAF_HOST is wrong: this machine does not have the address 192.0.2.1."),
    ],
)
def test_address_of_another_machine_is_refused(host: str, sentence: str) -> None:
    with pytest.raises(StartupFailure) as failure:
        find(host, 0)
    assert str(failure.value) == sentence


@pytest.mark.parametrize("shared", [False, True])
def test_port_in_use_is_refused_even_if_shareable(shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StartupFailure, match=r"^Port \d+ on 127\.0\.0\.1 is in use; "):
            find("127.0.0.1", other.getsockname()[1])
