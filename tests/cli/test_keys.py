"""`sheaf keys`: keys are made where nobody else reads them, and listed without what is secret."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.identity.core import signing_keys
from service.runtime import settings

SECRET = "a-secret-of-the-tests-and-of-nobody-else"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(settings.variable(name), raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **variables: str) -> Result:
    named = {settings.variable(name): value for name, value in variables.items()}
    return CliRunner().invoke(main, ["keys", *arguments], env=named)


@pytest.mark.parametrize(("options", "algorithm"), [((), "ES256"), (("--rsa",), "RS256")])
def test_generated_key_file_is_readable_by_owner_only(options: tuple[str, ...], algorithm: str) -> None:
    ended = run("generate", "jwt.pem", *options)
    private, public = Path("jwt.pem"), Path("jwt.public.pem")
    key = signing_keys.read_pem(private.read_bytes())
    assert (ended.exit_code, ended.output) == (
        0,
        f"Made the key {key.id}: jwt.pem signs, jwt.public.pem only verifies.\n",
    )
    assert (private.stat().st_mode & 0o777, public.stat().st_mode & 0o777) == (0o600, 0o644)
    half = signing_keys.read_pem(public.read_bytes())
    assert (half.id, half.signer, half.algorithm) == (key.id, None, algorithm)


def test_generated_key_never_overwrites_a_file() -> None:
    Path("jwt.pem").write_text("precious")
    ended = run("generate", "jwt.pem")
    assert ended.exit_code == 1
    assert ended.output == "sheaf: The key cannot be written to jwt.pem: file exists.\n"
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("jwt.pem", "precious")]


def test_keys_are_listed_with_signing_key_first() -> None:
    for name in ("a", "b"):
        run("generate", f"{name}.pem")
    a, b = (signing_keys.read_pem(Path(f"{name}.pem").read_bytes()).id for name in ("a", "b"))
    secret = signing_keys.key_id(SECRET)
    listed = run("list", jwt_secret=SECRET, jwt_keys="a.public.pem, b.pem")
    assert listed.output.splitlines() == [
        f"{b}  ES256  signs and verifies",
        f"{a}  ES256  verifies",
        f"{secret}  HS256  verifies",
    ]
    assert run("list", jwt_secret=SECRET).output == f"{secret}  HS256  signs and verifies\n"


def test_unlistable_keys_fail_with_one_sentence() -> None:
    nothing = run("list")
    assert (nothing.exit_code, nothing.output) == (
        1,
        "sheaf: No key signs: set SHEAF_JWT_SECRET, and SHEAF_JWT_KEYS to sign by another key.\n",
    )
    absent = run("list", jwt_keys="absent.pem")
    assert (absent.exit_code, absent.output) == (
        1,
        "sheaf: SHEAF_JWT_KEYS names absent.pem, which cannot be read: there is no such file.\n",
    )
