"""The development secret: random, made once, kept beside the data."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from service.dev import mongodb
from service.kit.errors import StartupFailure
from service.runtime.settings import MINIMUM_SECRET_BYTES

NAME = "secret"


def provide(data: Path) -> None:
    """Put the secret of a data directory, made if need be, into the environment; raises StartupFailure."""
    try:
        secret = _kept(data / NAME)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartupFailure(
            f"The data directory {data} cannot be used ({reason});"
            f" make it writable for this user, or choose another with --data or SHEAF_DATA."
        ) from None
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise StartupFailure(f"{data / NAME} is not a secret; delete it, and a new one is made.")
    mongodb.export(jwt_secret=secret)


def _kept(path: Path) -> str:
    """Read the secret; whoever makes it first makes it for all, and nobody sees half of it."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as new:  # mode 0600
            new.write(secrets.token_urlsafe(48))
            new.flush()
            with suppress(FileExistsError):
                os.link(new.name, path)
    return path.read_text(encoding="utf-8").strip()
