"""Finding out which address a request comes from, believing only the proxies that are trusted."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from service.http.pipeline.step import Exchange, Step

Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
"""The address of a peer that has none, such as one on a Unix socket."""

FORWARDED_LIMIT = 32
"""Entries of `X-Forwarded-For` that are looked at; no honest chain of proxies is longer."""

IPV6_PREFIX_BITS = 64
"""One customer of a network holds a whole /64, so counting single IPv6 addresses would limit nobody."""


class ClientAddress(Step):
    """Put the client's address in `scope["state"]["client_address"]`.

    It is the peer's, unless the peer is in `trusted_proxies`: then `X-Forwarded-For` is walked from the
    right, past further trusted proxies, to the first address that is not one of them. `Forwarded`
    (RFC 7239) is ignored.
    """

    kinds = ("http", "websocket")

    def __init__(self, *, trusted_proxies: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted_proxies)

    def enter(self, exchange: Exchange) -> None:
        """Note the address."""
        client = exchange.scope.get("client")
        address = client[0] if client else UNKNOWN
        if self._trusted and client and self._is_trusted(address):
            address = self._forwarded(exchange, address)
        exchange.state["client_address"] = address

    def _forwarded(self, exchange: Exchange, peer: str) -> str:
        lines = [value for name, value in exchange.scope["headers"] if name == b"x-forwarded-for"]
        entries = b",".join(lines).decode("latin-1").split(",")
        address = peer
        for entry in reversed(entries[-FORWARDED_LIMIT:]):
            claimed = _parsed(_without_port(entry.strip()))
            if claimed is None:
                break
            address = str(claimed)
            if not self._is_trusted(address):
                break
        return address

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


@lru_cache(maxsize=4096)
def limited_address(address: str) -> str:
    """Return what one client's requests are counted under: the address, for IPv6 its /64.

    >>> limited_address("192.0.2.7"), limited_address("2001:db8::17"), limited_address("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
    parsed = _parsed(address)
    if parsed is None or isinstance(parsed, IPv4Address):
        return address if parsed is None else str(parsed)
    return str(ip_network((parsed, IPV6_PREFIX_BITS), strict=False))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return IPv6Address(int(address))
    return address


def _without_port(entry: str) -> str:
    """Return the address of an entry of `X-Forwarded-For`.

    >>> _without_port("192.0.2.7:443"), _without_port("[2001:db8::1]:443"), _without_port("2001:db8::1")
    ('192.0.2.7', '2001:db8::1', '2001:db8::1')
    """
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
