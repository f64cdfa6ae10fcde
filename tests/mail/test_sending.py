"""The outbox: what waits is sent once, tried again, and given up; by a real SMTP server."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from models.base import utc_now
from models.mail import Mail
from service.kit.errors import StartupFailure
from service.kit.sealing import Sealer
from service.kit.tasks import Backoff
from service.mail import post
from service.mail.messages import Message, sender_of
from service.mail.post import Outbox, Sender
from service.mail.transports import KEPT_MAILS, Folder, NotNow, Smtp, Undeliverable
from service.storage.database import Database
from tests.conftest import PATIENCE_S

SENDER = sender_of("The Shop <shop@example.com>")
MESSAGE = Message("ann@example.com", "Grüße", "Follow https://shop.example/x#token=abc\n")
HOUR_S = 3600.0


class Server:
    """A mail server: it keeps what it takes, and refuses what it is told to."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.connections = 0
        self.refusals: dict[str, str] = {}

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the same
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, session.ssl is not None, mail))
        return "250 OK"


def is_known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, credentials: Any) -> AuthResult:
    is_right = (credentials.login, credentials.password) == (b"shop@example.com", b"p@ss/word")
    return AuthResult(success=is_right, handled=False)


@asynccontextmanager
async def listening(server: Server, **options: Any) -> AsyncIterator[int]:
    """Serve on a free port, which is given."""
    loop = asyncio.get_running_loop()
    tcp = await loop.create_server(lambda: SMTP(server, loop=loop, **options), "127.0.0.1", 0)
    try:
        yield int(tcp.sockets[0].getsockname()[1])
    finally:
        tcp.close()
        await asyncio.sleep(0.01)  # connections that were closed are forgotten


@pytest.fixture
async def outbox(database: Database) -> Outbox:
    await database.initialise([Mail])
    return Outbox(Sealer(["a secret of thirty-two characters"]))


def sending_to(port: int, outbox: Outbox) -> AbstractAsyncContextManager[None]:
    return Sender(outbox, Smtp(f"smtp://127.0.0.1:{port}", SENDER)).sending()


async def stored() -> list[dict[str, Any]]:
    return list(await Mail.get_motor_collection().find().to_list(None))


async def settled(number: int = 0) -> list[dict[str, Any]]:
    """Wait until so many mails are left, none of which is being sent."""
    async with asyncio.timeout(PATIENCE_S):
        while len(left := await stored()) > number or any(  # noqa: ASYNC110 - a database has no events
            mail["state"] == "waiting" and mail["failure"] is None for mail in left
        ):
            await asyncio.sleep(0.01)
    return left


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate of this machine, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


async def test_sent_mail_arrives_as_written_and_is_deleted(outbox: Outbox) -> None:
    server = Server()
    await outbox.put(MESSAGE, HOUR_S)
    (waiting,) = await stored()
    assert "token=" not in str(waiting)
    assert "ann@" not in str(waiting)
    async with listening(server) as port, sending_to(port, outbox):
        assert await settled() == []
    ((sender, recipients, is_secure, mail),) = server.taken
    assert (sender, recipients, is_secure) == ("shop@example.com", ["ann@example.com"], False)
    assert (mail["From"], mail["To"]) == ("The Shop <shop@example.com>", "ann@example.com")
    assert mail["Subject"] == "Grüße"
    assert mail["Message-ID"] == f"<{waiting['_id']}@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().splitlines() == ["Follow https://shop.example/x#token=abc"]


async def test_mails_share_a_connection_and_are_sent_by_one_worker_each(outbox: Outbox) -> None:
    server = Server()
    for number in range(20):
        await outbox.put(Message(f"ann{number}@example.com", "Hello", "Text\n"), HOUR_S)
    async with listening(server) as port:
        first, second = (Sender(outbox, Smtp(f"smtp://127.0.0.1:{port}", SENDER)) for _ in range(2))
        async with first.sending(), second.sending():
            assert await settled() == []
    assert sorted(mail["To"] for *_, mail in server.taken) == sorted(
        f"ann{number}@example.com" for number in range(20)
    )
    assert server.connections <= 2


async def test_decoy_is_never_sent(outbox: Outbox) -> None:
    server = Server()
    await outbox.put(MESSAGE, HOUR_S, is_decoy=True)
    async with listening(server) as port, sending_to(port, outbox):
        assert await settled() == []
    assert server.taken == []


async def test_smtp_password_is_sent_through_tls_only(outbox: Outbox, certificate: Path) -> None:
    server = Server()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate)
    ours = ssl.create_default_context(cafile=certificate)
    await outbox.put(MESSAGE, HOUR_S)
    options = {
        "tls_context": theirs,
        "require_starttls": True,
        "authenticator": is_known,
        "auth_required": True,
    }
    async with listening(server, **options) as port:
        url = f"smtp://shop%40example.com:p%40ss%2Fword@127.0.0.1:{port}"
        with pytest.raises(NotNow, match="SSLCertVerificationError"):
            await Smtp(url, SENDER).deliver("1", MESSAGE)  # whose certificate is nobody's that we know
        wrong = Smtp(url.replace("p%40ss", "other"), SENDER, ours)
        with pytest.raises(NotNow, match="SMTPAuthenticationError, 535"):
            await wrong.deliver("1", MESSAGE)
        async with Sender(outbox, Smtp(url, SENDER, ours)).sending():
            assert await settled() == []
    ((_, _, is_secure, _),) = server.taken
    assert is_secure is True


async def test_mail_refused_for_good_is_kept_as_failed_without_server_text(
    outbox: Outbox,
) -> None:
    server = Server()
    server.refusals["ann@example.com"] = "550 no ann@example.com here"
    await outbox.put(MESSAGE, HOUR_S)
    async with listening(server) as port, sending_to(port, outbox):
        (failed,) = await settled(1)
    assert (failed["state"], failed["failure"], failed["attempts"]) == (
        "failed",
        "recipient refused, [550]",
        1,
    )


async def test_mail_refused_for_now_is_retried_later(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    server.refusals["ann@example.com"] = "451 come again"
    monkeypatch.setattr(post, "REST_S", 0.02)
    monkeypatch.setattr(post, "RETRY", Backoff(0.02, 3600.0, growth=3))
    await outbox.put(MESSAGE, HOUR_S)
    async with listening(server) as port:
        sender = Sender(outbox, Smtp(f"smtp://127.0.0.1:{port}", SENDER))
        async with sender.sending():
            (delayed,) = await settled(1)
            assert (delayed["state"], delayed["failure"]) == ("waiting", "recipient refused, [451]")
            server.refusals.clear()
            assert await settled() == []
    assert len(server.taken) == 1


async def test_mail_to_unreachable_server_is_retried_limited_times(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "REST_S", 0.0)
    monkeypatch.setattr(post, "INTERVAL_S", 0.0)
    monkeypatch.setattr(post, "RETRY", Backoff(0.0, 0.0))
    await outbox.put(MESSAGE, HOUR_S)
    async with listening(Server()) as port:
        pass
    async with Sender(outbox, Smtp(f"smtp://127.0.0.1:{port}", SENDER)).sending():
        async with asyncio.timeout(PATIENCE_S):
            while (await stored())[0]["state"] == "waiting":  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
    (failed,) = await stored()
    assert (failed["attempts"], failed["failure"]) == (post.MAXIMUM_ATTEMPTS, "SMTPConnectError")


async def test_mail_with_expired_link_is_not_sent(outbox: Outbox) -> None:
    server = Server()
    await outbox.put(MESSAGE, -1)
    async with listening(server) as port, sending_to(port, outbox):
        (failed,) = await settled(1)
    assert (failed["state"], failed["failure"], server.taken) == ("failed", "too late", [])


async def test_mail_claimed_by_dead_worker_is_sent_by_another_after_lease(
    outbox: Outbox,
) -> None:
    await outbox.put(MESSAGE, HOUR_S)
    claimed = await outbox.claim()
    assert claimed is not None
    assert await outbox.claim() is None
    over = utc_now() - timedelta(seconds=1)
    await Mail.get_motor_collection().update_one({}, {"$set": {"due_at": over}})
    again = await outbox.claim()
    assert again is not None
    assert (again.id, again.message, again.attempts) == (claimed.id, MESSAGE, 2)
    await outbox.sent(claimed)  # the first one's word counts no more
    assert len(await stored()) == 1
    await outbox.sent(again)
    assert await stored() == []


async def test_mail_sealed_with_lost_secret_is_given_up(outbox: Outbox) -> None:
    await outbox.put(MESSAGE, HOUR_S)
    other = Outbox(Sealer(["another secret of thirty-two chars"]))
    async with listening(Server()) as port, sending_to(port, other):
        (failed,) = await settled(1)
    assert failed["failure"] == "sealed under another secret"


@pytest.mark.parametrize(
    "message",
    [
        Message("ann@example.com", "Hello\r\nBcc: bob@example.com", "x\n"),
        Message("ann@example.com\nBcc: bob@example.com", "Hello", "x\n"),
        Message("ann@example.com, bob@example.com", "Hello", "x\n"),
    ],
)
async def test_mail_header_cannot_be_injected(message: Message, tmp_path: Path) -> None:
    server = Server()
    async with listening(server) as port:
        with pytest.raises(Undeliverable, match="malformed"):
            await Smtp(f"smtp://127.0.0.1:{port}", SENDER).deliver("1", message)
    with pytest.raises(Undeliverable):
        await Folder(tmp_path).deliver("1", message)
    assert (server.taken, os.listdir(tmp_path)) == ([], [])  # noqa: PTH208 - a quick look


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://a:b@host:port",
        "smtp://host/x?tls=no",
    ],
)
def test_invalid_smtp_url_fails_at_start(url: str) -> None:
    with pytest.raises(StartupFailure, match="SHEAF_SMTP_URL is wrong"):
        Smtp(url, SENDER)


async def test_folder_keeps_newest_mails_private_to_owner(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "mails")
    for number in range(KEPT_MAILS + 3):
        folder._keep(f"{number:03}", MESSAGE)
    paths = sorted((tmp_path / "mails").iterdir())
    assert len(paths) == KEPT_MAILS
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert (tmp_path / "mails").stat().st_mode & 0o777 == 0o700


class UncancellableFolder(Folder):
    """A transport that takes being told to end for something else, once."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.is_asked = asyncio.Event()

    async def rest(self) -> None:
        if not self.is_asked.is_set():
            self.is_asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)


async def test_sending_ends_even_if_transport_swallows_cancellation(outbox: Outbox, tmp_path: Path) -> None:
    transport = UncancellableFolder(tmp_path)
    async with asyncio.timeout(PATIENCE_S), Sender(outbox, transport).sending():
        await transport.is_asked.wait()
