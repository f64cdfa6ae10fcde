"""The address to listen on: resolved and tried before anything starts."""

import errno
import socket
from dataclasses import dataclass

from service.kit.errors import StartupFailure

LOOPBACKS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what the wildcards are reached by from here


@dataclass(frozen=True, slots=True)
class Address:
    """A host as the user wrote it, the IP address it stands for, and a port."""

    host: str
    ip: str
    port: int

    @property
    def url(self) -> str:
        """The base URL to show.

        >>> Address("::1", "::1", 8000).url
        'http://[::1]:8000'
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def reachable_ip(self) -> str:
        """The IP address that reaches the service from this machine."""
        return LOOPBACKS.get(self.ip, self.ip)


def find(host: str, port: int, *, setting: str = "SHEAF_") -> Address:
    """Resolve a host name or address, and make sure that its port (0: any free one) can be listened on.

    Tried without SO_REUSEPORT: with it a second service would start on the same port and silently take half
    of the connections. Raises StartupFailure naming the setting to change, which is `setting` and HOST or
    PORT.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise StartupFailure(f"{setting}HOST is wrong: `{host}` is not an address or a known name.") from None
    _, _, _, _, target = min(found, key=lambda one: one[0] != socket.AF_INET)
    with bind(Address(host, str(target[0]), port), setting=setting) as trial:
        return Address(host, str(target[0]), trial.getsockname()[1])


def bind(address: Address, *, is_one_of_many: bool = False, setting: str = "SHEAF_") -> socket.socket:
    """Bind a socket that does not listen yet; if it `is_one_of_many`, others of ours can have the address.

    Raises StartupFailure naming the setting to change.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in address.ip else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_one_of_many:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound.setblocking(False)
    try:
        bound.bind((address.ip, address.port))
    except OSError as error:
        bound.close()
        raise StartupFailure(_reason(error, address.host, address.port, setting)) from None
    return bound


def _reason(error: OSError, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use; stop what uses it, or set {setting}PORT (0 takes a free one)."
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"Port {port} needs rights that this user does not have; set {setting}PORT to 1024 or more."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{setting}HOST is wrong: this machine does not have the address {host}."
    return f"Cannot listen on {host}, port {port}: {error.strerror}; set {setting}HOST or {setting}PORT."
