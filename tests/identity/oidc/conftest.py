"""A service with two providers, a genuine one and one of our own, and browsers to visit them with."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pymongo
import pytest
import pytest_asyncio
from litestar import Litestar

from service.app import create_app
from service.identity.oidc.flows import challenge_of
from service.identity.oidc.providers import Providers
from service.runtime.provider_settings import ProviderSettings
from tests.conftest import opened, settings_of
from tests.identity.oidc import own_provider
from tests.identity.oidc.own_provider import OwnProvider
from tests.services import replaced, services_of

VERIFIER = "a-verifier-that-only-the-app-knows-0123456789"
CHALLENGE = challenge_of(VERIFIER)
CALLBACK = "https://sheaf.test/api/auth/oidc/acme/callback"
PASSWORD = "correct horse battery staple"
HOME = "https://sheaf.test/home"
APP = "com.example.app:/signed-in"


@pytest.fixture(scope="session")
def genuine() -> Iterator[str]:
    """Provide the issuer of the genuine provider."""
    script = Path(__file__).with_name("provider_process.py")
    command = [sys.executable, "-W", "ignore", str(script), own_provider.CLIENT_SECRET, CALLBACK, PASSWORD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own script
        assert process.stdout is not None
        yield f"http://localhost:{process.stdout.readline().strip()}"


@pytest.fixture(scope="session")
def own_running() -> Iterator[OwnProvider]:
    with own_provider.running() as provider:
        yield provider


@pytest.fixture
def own(own_running: OwnProvider) -> OwnProvider:
    own_running.reset()
    return own_running


def told_by(address: str) -> dict[str, str]:
    """Return the parameters of an address that a browser is sent to."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def returned_to(answer: httpx.Response) -> str:
    """Return the address that a browser is sent back to, without the CSRF token in it."""
    return str(answer.headers["Location"]).partition("#csrf_token=")[0]


@dataclass
class Browser:
    """Somebody's browser, with its cookies, at the service."""

    http: httpx.AsyncClient

    async def start(self, provider: str = "own", **parameters: str) -> httpx.Response:
        asked = {"return_to": HOME, **parameters}
        return await self.http.get(f"/api/auth/oidc/{provider}/start", params=asked)

    async def sent(self, own: OwnProvider, provider: str = "own", **parameters: str) -> dict[str, str]:
        """Start, and give what the provider is told; ours will answer to it."""
        answer = await self.start(provider, **parameters)
        assert answer.status_code == 302, answer.text
        told = told_by(answer.headers["Location"])
        own.nonce = told["nonce"]
        return told

    async def back(self, provider: str = "own", **parameters: str) -> httpx.Response:
        return await self.http.get(f"/api/auth/oidc/{provider}/callback", params=parameters)

    async def sign_in(self, own: OwnProvider, **parameters: str) -> httpx.Response:
        """Sign in at our own provider, and come back."""
        told = await self.sent(own, **parameters)
        return await self.back(state=told["state"], code="a-code")

    async def code(self, own: OwnProvider, mode: str) -> str:
        """Sign in for an app; returns the code that it gets."""
        answer = await self.sign_in(own, mode=mode, code_challenge=CHALLENGE, return_to=APP)
        address, _, code = answer.headers["Location"].partition("?code=")
        assert address == APP
        return code

    async def exchange(self, code: str, verifier: str = VERIFIER) -> httpx.Response:
        return await self.http.post("/api/auth/oidc/exchange", json={"code": code, "code_verifier": verifier})

    async def link(self, code: str, headers: dict[str, str], **more: Any) -> httpx.Response:
        body = {"code": code, "code_verifier": VERIFIER, **more}
        return await self.http.post("/api/auth/oidc/own/link", json=body, headers=headers)


@dataclass
class OidcService:
    """The service, and its database without the service."""

    app: Litestar
    database: pymongo.database.Database[dict[str, Any]]

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        transport = httpx.ASGITransport(cast("Any", self.app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://sheaf.test") as http:
            yield Browser(http)

    def users(self) -> list[dict[str, Any]]:
        return list(self.database["_users"].find().sort("_id", 1))

    def actions(self) -> list[tuple[str, dict[str, Any]]]:
        found = self.database["_audit"].find().sort("_id", 1)
        return [(each["action"], each["details"]) for each in found]

    def empty(self) -> None:
        for name in ("_users", "_audit", "_sessions", "_one_time_tokens", "_second_factors"):
            self.database[name].delete_many({})

    def register(self, email: str = "ann@example.com", **fields: Any) -> str:
        """Make an account, without the work that its password would be; returns its id."""
        user = {
            "email": email,
            "email_key": email,
            "is_email_verified": True,
            "roles": [],
            "attributes": {},
            "is_disabled": False,
            "epoch": 0,
            "_version": 1,
            **fields,
        }
        return str(self.database["_users"].insert_one(user).inserted_id)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service_with_providers(
    mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory, genuine: str, own_running: OwnProvider
) -> AsyncIterator[OidcService]:
    providers = {
        "acme": ProviderSettings(issuer=genuine, client_id="sheaf", client_secret=own_provider.CLIENT_SECRET),
        "own": ProviderSettings(
            issuer=own_running.issuer,
            client_id=own_provider.CLIENT_ID,
            client_secret=own_provider.CLIENT_SECRET,
            label="Our own",
        ),
    }
    settings = settings_of(mongodb_uri, tmp_path_factory.mktemp("oidc")).model_copy(
        update={
            "oidc_providers": providers,
            "oidc_return_urls": (APP,),
            "public_url": "https://sheaf.test",
            "cors_origins": ("https://pages.test",),
        }
    )
    app = create_app(settings)
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, tz_aware=True) as mongodb:
        async with opened(app):
            yield OidcService(app, mongodb[settings.database])
        mongodb.drop_database(settings.database)


@pytest.fixture
def oidc_service(service_with_providers: OidcService) -> OidcService:
    service_with_providers.empty()
    return service_with_providers


@pytest.fixture
async def fresh(oidc_service: OidcService, own: OwnProvider) -> AsyncIterator[Browser]:
    """Provide a browser at a service that knows nothing of its providers yet."""
    providers = Providers(list(services_of(oidc_service.app).providers), is_secure=False)
    with replaced(oidc_service.app, providers=providers):
        async with providers.open(), oidc_service.browser() as opened_browser:
            yield opened_browser


@pytest.fixture
async def browser(oidc_service: OidcService) -> AsyncIterator[Browser]:
    async with oidc_service.browser() as opened_browser:
        yield opened_browser
