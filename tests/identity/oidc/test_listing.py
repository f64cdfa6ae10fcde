"""Which providers there are."""

from tests.conftest import bearer
from tests.identity.oidc.conftest import Browser, OidcService
from tests.identity.oidc.own_provider import OwnProvider
from tests.services import services_of

ACME = {
    "name": "acme",
    "label": "Acme",
    "start_url": "https://sheaf.test/api/auth/oidc/acme/start",
    "linked_at": None,
}
OWN = {
    "name": "own",
    "label": "Our own",
    "start_url": "https://sheaf.test/api/auth/oidc/own/start",
    "linked_at": None,
}


async def test_providers_are_listed_for_everybody(browser: Browser) -> None:
    answer = await browser.http.get("/api/auth/oidc")
    assert answer.json() == {"data": [ACME, OWN]}


async def test_signed_in_caller_sees_linked_providers(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    await browser.sign_in(own)
    acme, linked = (await browser.http.get("/api/auth/oidc")).json()["data"]
    assert acme == ACME
    (user,) = oidc_service.users()
    at = user["identities"][0]["linked_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert linked == {**OWN, "linked_at": at}
    nobody = bearer(services_of(oidc_service.app).tokens, "5eb7cf5a86d9755df3a6c593")
    async with oidc_service.browser() as other:
        assert (await other.http.get("/api/auth/oidc", headers=nobody)).json() == {"data": [ACME, OWN]}
