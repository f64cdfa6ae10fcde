"""A WebSocket over a real server: the handshake, entries, refusals, and the close on a drain."""

import base64
import json
import os
import signal
import socket
import struct
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pymongo

from tests.live.processes import DEADLINE_S, running
from tests.live.test_serve import SECRET, SHEAF

TEXT, CLOSE = 1, 8


class WebSocket:
    """A client of RFC 6455, as far as this needs it."""

    def __init__(self, url: str, path: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.connection = socket.create_connection((parts.hostname, parts.port or 80), DEADLINE_S)
        self._stream = self.connection.makefile("rb")
        lines = {
            "Host": parts.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.connection.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.status = int(self._stream.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._stream.readline().strip().decode():
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value

    def close(self) -> None:
        self.connection.close()

    def body(self) -> Any:
        return json.loads(self._stream.read(int(self.headers["content-length"])))

    def send(self, **message: Any) -> None:
        content = json.dumps(message).encode()
        length = len(content)
        head = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
        self.connection.sendall(bytes([0x80 | TEXT]) + head + bytes(4) + content)  # a mask of zeros

    def receive(self) -> Any:
        """Return the next message, or the code with which it is closed."""
        first, length = self._stream.read(2)
        if length == 126:
            (length,) = struct.unpack(">H", self._stream.read(2))
        content = self._stream.read(length)
        if first & 15 == CLOSE:
            return struct.unpack(">H", content[:2])[0]
        return json.loads(content)

    def until(self, event: str) -> Any:
        while (told := self.receive())["event"] != event:
            pass
        return told


def test_websocket_over_a_server(mongodb_uri: str) -> None:
    variables = {
        "MONGODB_URI": mongodb_uri,
        "SHEAF_DATABASE": "test_websockets",
        "SHEAF_JWT_SECRET": SECRET,
        "SHEAF_PORT": "0",
        "SHEAF_WORKERS": "1",
        "SHEAF_DRAIN_DELAY_S": "0",
    }
    path = "/api/streams"
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        with running(*SHEAF, variables=variables) as service:
            for refused_path, headers, status, code in (
                (f"{path}?token=x", {}, 400, "parameter.invalid"),
                (path, {"Authorization": "Bearer x"}, 401, "auth.token_invalid"),
                (path, {"Cookie": "__Host-sheaf_access=x; sheaf_access=x"}, 403, "auth.cross_site"),
                ("/api/nothing/at/all", {}, 404, "route.not_found"),
            ):
                with closing(WebSocket(service.url, refused_path, headers)) as refused:
                    assert refused.status == status, refused_path
                    assert refused.body()["code"] == code
            offered = {"Sec-WebSocket-Protocol": "sheaf"}
            with closing(WebSocket(service.url, path, offered)) as websocket:
                assert (websocket.status, websocket.headers["sec-websocket-protocol"]) == (101, "sheaf")
                websocket.send(type="subscribe", key="a", collection="products")
                assert websocket.until("ready")["key"] == "a"
                mongodb["test_websockets"]["products"].insert_one({"name": "Mug", "price": 9.5})
                told = websocket.until("put")
                assert (told["key"], told["why"], told["data"]["name"]) == ("a", "create", "Mug")
                websocket.send(type="authenticate", token="x")
                assert websocket.until("refused")["problem"]["code"] == "auth.token_invalid"
                websocket.send(type="ping")
                assert websocket.receive() == {"event": "pong"}
                with closing(WebSocket(service.url, path, {})) as leaving:
                    leaving.send(type="subscribe", key="a", collection="products")
                service.signal(signal.SIGTERM)
                assert websocket.until("bye")["why"] == "draining"
                assert websocket.receive() == 1012
            assert service.code() == 0
            assert "Traceback" not in service.logged()
        mongodb.drop_database("test_websockets")
