from ipaddress import ip_network
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from service.http.pipeline.client_address import UNKNOWN, ClientAddress, limited_address
from tests.middleware.apps import wrap

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


async def address_of(client: tuple[str, int] | None, *forwarded: str, trusted: Any = PROXIES) -> str:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["state"]["client_address"])

    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    scope: Any = {"type": "http", "client": client, "headers": [*headers, (b"forwarded", b"for=203.0.113.9")]}
    await wrap(app, ClientAddress(trusted_proxies=trusted))(scope, None, None)  # type: ignore[arg-type]  # not called
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("203.0.113.5",), "192.0.2.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.5",), "203.0.113.5"),
        ("10.0.0.1", ("198.51.100.66, 203.0.113.5",), "203.0.113.5"),
        ("10.0.0.1", ("198.51.100.66, 203.0.113.5, 10.9.9.9",), "203.0.113.5"),
        ("10.0.0.1", ("198.51.100.66", "203.0.113.5", "10.9.9.9"), "203.0.113.5"),
        ("10.0.0.1", ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        ("10.0.0.1", ("203.0.113.5:8080",), "203.0.113.5"),
        ("10.0.0.1", ("[2001:db8:7::5]:8080",), "2001:db8:7::5"),
        ("2001:db8:1::1", ("2001:db8:7::5",), "2001:db8:7::5"),
        ("::ffff:10.0.0.1", ("203.0.113.5",), "203.0.113.5"),
        ("10.0.0.1", ("203.0.113.5, nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.5, 10.4.4.4, unknown, 10.5.5.5",), "10.5.5.5"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("\xff\xfe",), "10.0.0.1"),
    ],
)
async def test_forwarded_address_is_taken_from_trusted_proxies_only(
    peer: str, forwarded: tuple[str, ...], address: str
) -> None:
    assert await address_of((peer, 1), *forwarded) == address


async def test_forwarded_address_is_ignored_without_trusted_proxies() -> None:
    assert await address_of(("10.0.0.1", 1), "203.0.113.5", trusted=()) == "10.0.0.1"


async def test_peer_without_address_is_unknown() -> None:
    assert await address_of(None, "203.0.113.5") == UNKNOWN


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:7:1:2:3:4", "2001:db8:0:7::/64"),
        ("2001:db8:0:7::", "2001:db8:0:7::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_ipv6_address_is_counted_by_its_network(address: str, group: str) -> None:
    assert limited_address(address) == group
