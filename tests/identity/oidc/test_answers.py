"""What a provider may answer, and what is refused, without any account or session coming of it."""

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from service.identity.oidc import id_tokens, outbound
from service.identity.oidc.flows import challenge_of
from tests.identity.oidc.conftest import HOME, Browser, OidcService, returned_to
from tests.identity.oidc.own_provider import CLIENT_ID, CLIENT_SECRET, Key, OwnProvider
from tests.services import services_of

NOW = int(time.time())


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, returned_to(answer)


REFUSED: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "of another sign-in"}},
    "no nonce": {"claims": {"nonce": None}},
    "half a character for a nonce": {"claims": {"nonce": "\ud800"}},
    "another audience": {"claims": {"aud": "somebody else"}},
    "further audiences": {"claims": {"aud": [CLIENT_ID, "somebody else"]}},
    "no audience": {"claims": {"aud": None}},
    "issued to somebody else": {"claims": {"azp": "somebody else"}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "an issuer with a slash more": {"claims": {"iss": "SLASH"}},
    "expired": {"claims": {"exp": NOW - 120, "iat": NOW - 300}},
    "no expiry": {"claims": {"exp": None}},
    "an endless expiry": {"claims": {"exp": 1e400}},
    "issued long ago": {"claims": {"iat": NOW - 3600}},
    "issued tomorrow": {"claims": {"iat": NOW + 86_400}},
    "issued at no number": {"claims": {"iat": True}},
    "valid tomorrow": {"claims": {"nbf": NOW + 86_400}},
    "no subject": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "a subject that is no text": {"claims": {"sub": 1}},
    "a long subject": {"claims": {"sub": "s" * 256}},
    "a hash of another access token": {"claims": {"at_hash": "b" * 22}},
    "no signature": {"algorithm": "none"},
    "a signature by no algorithm": {"algorithm": "None"},
    "signed with the client's secret": {"algorithm": "HS256"},
    "signed with the public key as a secret": {"algorithm": "PUBLIC"},
    "an unknown key": {"header": {"kid": "unknown"}},
    "a key's id that is no text": {"header": {"kid": 1}},
    "a header that must be understood": {"header": {"crit": ["b64"], "b64": False}},
    "no token": {"told": {"id_token": None}},
    "a token that is none": {"told": {"id_token": "a.b.c"}},
    "a token that is no text": {"told": {"id_token": {"$gt": ""}}},
    "a long token": {"told": {"id_token": f"a.{'b' * 20_000}.c"}},
    "a token of deep nesting": {"told": {"id_token": "DEEP"}},
}


@pytest.mark.parametrize("what", REFUSED)
async def test_invalid_id_token_signs_nobody_in(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, what: str
) -> None:
    wrong = REFUSED[what]
    own.claims.update(wrong.get("claims", {}))
    own.header.update(wrong.get("header", {}))
    own.told.update(wrong.get("told", {}))
    own.algorithm = wrong.get("algorithm", "ES256")
    if own.claims.get("iss") == "SLASH":
        own.claims["iss"] = f"{own.issuer}/"
    if own.told.get("id_token") == "DEEP":
        own.told["id_token"] = own.nested(5000)
    answer = await browser.sign_in(own)
    assert told(answer) == (302, f"{HOME}?error=provider.invalid")
    assert oidc_service.users() == []
    assert list(oidc_service.database["_sessions"].find()) == []
    assert not [name for name in browser.http.cookies if name != "sheaf_oidc"]


async def test_unchanged_id_token_signs_in(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    own.claims.update(aud=[CLIENT_ID], azp=CLIENT_ID)
    assert told(await browser.sign_in(own)) == (302, HOME)
    (user,) = oidc_service.users()
    assert (user["email"], user["name"], user["is_email_verified"]) == ("ann@example.com", "Ann", True)


ANSWERS: dict[str, tuple[tuple[int, bytes, dict[str, str]], str]] = {
    "a redirect": ((307, b"", {"Location": "/elsewhere"}), "provider.invalid"),
    "a refusal": ((400, b'{"error":"invalid_grant"}', {}), "provider.invalid"),
    "no JSON": ((200, b"<html>", {}), "provider.invalid"),
    "a list": ((200, b"[]", {}), "provider.invalid"),
    "too much": ((200, b" " * (outbound.MAXIMUM_ANSWER_BYTES + 1) + b"{}", {}), "provider.invalid"),
    "compressed": ((200, b"\x1f\x8b\x08\x00", {"Content-Encoding": "gzip"}), "provider.invalid"),
    "an error of its own": ((500, b"{}", {}), "provider.unavailable"),
    "too many requests": ((429, b"{}", {}), "provider.unavailable"),
}


@pytest.mark.parametrize(
    ("path", "what"),
    [*(("/token", what) for what in ANSWERS), ("/keys", "a redirect"), ("/userinfo", "an error of its own")],
)
async def test_malformed_token_response_signs_nobody_in(
    oidc_service: OidcService, fresh: Browser, own: OwnProvider, path: str, what: str
) -> None:
    answered, code = ANSWERS[what]
    own.claims["email"] = None  # so that the user information is asked for
    state = (await fresh.sent(own))["state"]
    own.raw[path] = answered
    answer = await fresh.back(state=state, code="a-code")
    assert told(answer) == (302, f"{HOME}?error={code}")
    assert oidc_service.users() == []


async def test_token_request_has_client_credentials_and_verifier(browser: Browser, own: OwnProvider) -> None:
    sent = await browser.sent(own)
    assert sent | {"state": "", "nonce": "", "code_challenge": ""} == {
        "tenant": "a",
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": "https://sheaf.test/api/auth/oidc/own/callback",
        "scope": "openid email profile",
        "code_challenge_method": "S256",
        "state": "",
        "nonce": "",
        "code_challenge": "",
    }
    await browser.back(state=sent["state"], code="a-code", session_state="what providers add", scope="openid")
    (form,) = [form for path, form, _ in own.calls if path == "/token"]
    (verifier,) = form.pop("code_verifier")
    assert challenge_of(verifier) == sent["code_challenge"]
    assert form == {
        "grant_type": ["authorization_code"],
        "code": ["a-code"],
        "redirect_uri": ["https://sheaf.test/api/auth/oidc/own/callback"],
        "client_id": [CLIENT_ID],
        "client_secret": [CLIENT_SECRET],
    }


async def test_address_is_read_from_user_information(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    own.claims.update(email=None, email_verified=True, name=None)
    own.userinfo.update(sub="s-1", email="Eve@Example.com", name="Eve")
    assert told(await browser.sign_in(own)) == (302, HOME)
    (user,) = oidc_service.users()
    assert (user["email"], user["name"]) == ("Eve@example.com", "Eve")
    assert user["is_email_verified"] is False  # the ID token's word is not about this address


async def test_user_information_of_another_subject_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    own.claims["email"] = None
    own.userinfo.update(sub="s-2", email="eve@example.com")
    assert told(await browser.sign_in(own)) == (302, f"{HOME}?error=provider.invalid")
    assert oidc_service.users() == []


@pytest.mark.parametrize("email", [None, "", "nobody", 7, "a@b@c.example", "\ud800@example.com"])
async def test_identity_without_address_makes_no_account(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, email: Any
) -> None:
    own.claims["email"] = email
    own.userinfo["sub"] = "s-1"
    assert told(await browser.sign_in(own)) == (302, f"{HOME}?error=provider.refused")
    assert oidc_service.users() == []


@pytest.mark.parametrize("name", ["", " ", 7, "a\nb", "<b>" * 100])
async def test_odd_name_is_left_out_or_cut(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, name: Any
) -> None:
    own.claims["name"] = name
    assert told(await browser.sign_in(own)) == (302, HOME)
    assert oidc_service.users()[0]["name"] == (name[:200] if str(name).startswith("<") else None)


async def test_rotated_key_is_read_once_and_unknown_ones_at_most_once_a_pause(
    oidc_service: OidcService, fresh: Browser, own: OwnProvider
) -> None:
    assert told(await fresh.sign_in(own)) == (302, HOME)
    assert own.called("/keys") == 1
    first, own.key = own.key, Key("second")
    own.published = [first, own.key]
    assert told(await fresh.sign_in(own)) == (302, HOME)
    assert own.called("/keys") == 2
    for _ in range(3):
        own.header["kid"] = "made up"
        assert told(await fresh.sign_in(own)) == (302, f"{HOME}?error=provider.invalid")
    assert own.called("/keys") == 2
    assert own.called("/.well-known/openid-configuration") == 1


async def test_key_without_id_is_found_only_when_there_is_one(fresh: Browser, own: OwnProvider) -> None:
    own.header["kid"] = None
    assert told(await fresh.sign_in(own)) == (302, HOME)
    own.published = [own.key, Key("another")]
    own.header["kid"] = "another"  # so that the keys are read again
    assert told(await fresh.sign_in(own)) == (302, f"{HOME}?error=provider.invalid")
    own.header["kid"] = None
    assert told(await fresh.sign_in(own)) == (302, f"{HOME}?error=provider.invalid")


DESCRIBED: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example"},
    "an issuer with a slash more": {"issuer": "SLASH"},
    "no issuer": {"issuer": None},
    "no token endpoint": {"token_endpoint": None},
    "keys at an address without TLS": {"jwks_uri": "http://evil.example/keys"},
    "keys in a file": {"jwks_uri": "file:///etc/passwd"},
    "a token endpoint with a name in it": {"token_endpoint": "https://me@evil.example/token"},
    "an endpoint that is no text": {"authorization_endpoint": ["https://a.example"]},
    "an endpoint with a line break": {"authorization_endpoint": "https://a.example/\r\nSet-Cookie: a=b"},
    "user information at a port that is none": {"userinfo_endpoint": "https://a.example:x/"},
}


@pytest.mark.parametrize("what", DESCRIBED)
async def test_provider_with_wrong_metadata_is_not_visited(
    oidc_service: OidcService, fresh: Browser, own: OwnProvider, what: str
) -> None:
    own.described.update(DESCRIBED[what])
    if own.described.get("issuer") == "SLASH":
        own.described["issuer"] = f"{own.issuer}/"
    answer = await fresh.start()
    assert (answer.status_code, answer.json()["code"]) == (502, "provider.invalid")
    assert {path for path, _, _ in own.calls} == {"/.well-known/openid-configuration"}


async def test_unavailable_provider_is_503_and_not_asked_again_at_once(
    fresh: Browser, own: OwnProvider
) -> None:
    own.raw["/.well-known/openid-configuration"] = (503, b"", {})
    for _ in range(3):
        answer = await fresh.start()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        body = answer.json()
        assert (body["code"], body["detail"]) == ("provider.unavailable", "The provider cannot be reached")
    assert own.called("/.well-known/openid-configuration") == 1


async def test_unreachable_provider_is_unavailable(oidc_service: OidcService, fresh: Browser) -> None:
    gone = services_of(oidc_service.app).providers.get("own")
    gone.registration = replace(gone.registration, issuer="http://127.0.0.1:9")
    answer = await fresh.start()
    assert (answer.status_code, answer.json()["code"]) == (503, "provider.unavailable")


async def test_answer_of_another_issuer_is_refused(
    oidc_service: OidcService, fresh: Browser, own: OwnProvider
) -> None:
    own.described["authorization_response_iss_parameter_supported"] = True
    for issuer in ("https://evil.example", None):
        state = (await fresh.sent(own))["state"]
        more = {} if issuer is None else {"iss": issuer}
        answer = await fresh.back(state=state, code="a-code", **more)
        assert told(answer) == (302, f"{HOME}?error=provider.invalid")
    assert own.called("/token") == 0
    state = (await fresh.sent(own))["state"]
    assert told(await fresh.back(state=state, code="a-code", iss=own.issuer)) == (302, HOME)


def test_accepted_algorithms_are_asymmetric() -> None:
    assert {name[:2] for name in id_tokens.KINDS} == {"RS", "ES"}
    assert set(id_tokens.KINDS.values()) == {"RSA", "EC"}
