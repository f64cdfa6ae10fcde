"""OpenID Connect providers as they are set in the environment."""

import pytest

from service.kit.errors import StartupFailure
from service.runtime.settings import Settings, load

SECRET = "a-secret-of-a-client"
ACME = {
    "SHEAF_PUBLIC_URL": "https://api.example",
    "SHEAF_JWT_SECRET": "s" * 40,
    "SHEAF_OIDC_PROVIDERS__ACME__ISSUER": "https://id.example/realms/a",
    "SHEAF_OIDC_PROVIDERS__ACME__CLIENT_ID": "12345",
    "SHEAF_OIDC_PROVIDERS__ACME__CLIENT_SECRET": SECRET,
}


def loaded(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    for name, value in {**ACME, **changes}.items():
        monkeypatch.setenv(name, value)
    return load(_env_file=None)


def test_provider_is_set_by_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"ISSUER": "https://b.example", "CLIENT_ID": "b", "LABEL": "The B", "SCOPES": "openid email"}
    changes = {f"SHEAF_OIDC_PROVIDERS__MY_B__{name}": value for name, value in more.items()}
    providers = loaded(monkeypatch, **changes).oidc_providers
    assert set(providers) == {"acme", "my_b"}
    acme, other = providers["acme"], providers["my_b"]
    assert acme.client_secret is not None
    assert (acme.issuer, acme.client_id, acme.label) == ("https://id.example/realms/a", "12345", None)
    assert (acme.client_secret.get_secret_value(), acme.scopes) == (SECRET, "openid email profile")
    assert (other.client_secret, other.label, other.scopes) == (None, "The B", "openid email")


def test_providers_are_set_by_one_json_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = '{"b": {"issuer": "https://b.example", "client_id": "b"}}'
    assert set(loaded(monkeypatch, SHEAF_OIDC_PROVIDERS=whole).oidc_providers) == {"acme", "b"}


def test_client_secrets_of_providers_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch)
    assert settings.shown()["SHEAF_OIDC_PROVIDERS"] == (
        "acme(issuer=https://id.example/realms/a client_id=12345 client_secret=******** "
        "scopes=openid email profile)"
    )
    assert SECRET not in f"{settings!r}{settings.shown()}"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"SHEAF_OIDC_PROVIDERS__ACME__ISSUER": "http://id.example"},
            "SHEAF_OIDC_PROVIDERS__ACME__ISSUER is wrong: must be an https URL without query and fragment.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS__ACME__ISSUER": "http://localhost:5000"},
            "SHEAF_OIDC_PROVIDERS__ACME__ISSUER must be an https URL in production.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS__OTHER__ISSUER": "https://b.example"},
            "SHEAF_OIDC_PROVIDERS__OTHER__CLIENT_ID is wrong: field required.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS__ACME__CLIENT_SECRT": "hush"},
            "SHEAF_OIDC_PROVIDERS__ACME__CLIENT_SECRT is wrong: extra inputs are not permitted.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS__ACME__SCOPES": "email"},
            "SHEAF_OIDC_PROVIDERS__ACME__SCOPES is wrong: must have `openid` among its words.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS": '{"exchange": {"issuer": "https://b.example", "client_id": "b"}}'},
            "SHEAF_OIDC_PROVIDERS names a provider `exchange`; use another word, of a-z, 0-9, _ and -.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS": '{"b": {"issuer": "https://id.example/realms/a", "client_id": "b"}}'},
            "SHEAF_OIDC_PROVIDERS has two providers with one issuer; leave one out.",
        ),
        (
            {"SHEAF_PUBLIC_URL": ""},
            "SHEAF_PUBLIC_URL must be set when SHEAF_OIDC_PROVIDERS is: providers send people back to it.",
        ),
        (
            {"SHEAF_OIDC_PROVIDERS": "{acme"},
            "SHEAF_OIDC_PROVIDERS is wrong: must be a JSON object.",
        ),
    ],
)
def test_invalid_provider_settings_fail_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(StartupFailure) as failure:
        loaded(monkeypatch, **changes)
    assert str(failure.value) == sentence
    assert SECRET not in sentence
