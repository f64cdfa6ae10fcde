"""`sheaf keys`: the keys that sign access tokens, made and listed."""

import os
from pathlib import Path

import click

from service.dev import environment
from service.identity.core import signing_keys
from service.kit.errors import StartupFailure
from service.runtime import settings
from service.runtime.settings import Development

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
PUBLIC_SUFFIX = ".public.pem"


@click.group
def command() -> None:
    """Make and list the keys that sign access tokens."""


@command.command
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--rsa", is_flag=True, help="Make an RSA key (RS256) instead of one on P-256 (ES256).")
def generate(path: Path, *, rsa: bool) -> None:
    """Make a new key in the file PATH, and its public half beside it; never overwrites a file."""
    private, public = signing_keys.generate("rsa" if rsa else "ec")
    public_path = path.with_suffix(PUBLIC_SUFFIX)
    _write(path, private, PRIVATE_MODE)
    _write(public_path, public, PUBLIC_MODE)
    click.echo(f"Made the key {signing_keys.read_pem(public).id}: {path} signs, {public_path} only verifies.")


@command.command(name="list")
def list_keys() -> None:
    """Print the name and algorithm of each key that the settings give, the one that signs first."""
    environment.export()
    chosen = settings.load(Development)
    keys = signing_keys.read_files(chosen.jwt_keys)
    for secret in (chosen.jwt_secret, *chosen.jwt_previous_secrets):
        if secret is not None:
            keys.append(signing_keys.of_secret(secret.get_secret_value()))
    present = next((key for key in keys if key.signer is not None), None)
    if present is None:
        raise StartupFailure("No key signs: set SHEAF_JWT_SECRET, and SHEAF_JWT_KEYS to sign by another key.")
    for key in sorted(keys, key=lambda each: each is not present):
        use = "signs and verifies" if key is present else "verifies"
        click.echo(f"{key.id}  {key.algorithm}  {use}")


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        reason = (error.strerror or "no").lower()
        raise StartupFailure(f"The key cannot be written to {path}: {reason}.") from None
