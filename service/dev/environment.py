"""What a command runs with: the MongoDB that is set or a private one, and a secret for development."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.dev import mongod
from service.kit.errors import StartupFailure
from service.runtime import settings
from service.runtime.settings import MINIMUM_SECRET_BYTES, Settings

UNREACHABLE = "MongoDB cannot be reached; check that MONGODB_URI is right and that it runs."


@contextmanager
def available(chosen: Settings, *, shared: bool = False) -> Iterator[Settings]:
    """Yield settings with a MONGODB_URI; starts a private MongoDB for the time if none was set.

    With `shared`, one that `sheaf dev` already runs on the data directory will do. Its URI is put into the
    environment too, where workers read it. Raises StartupFailure in production, which must bring its own.
    """
    if chosen.mongodb_uri is not None:
        yield chosen
        return
    if shared and (uri := mongod.running(chosen.data)):
        export(mongodb_uri=uri)
        yield settings.load(type(chosen))
        return
    if chosen.environment == "production":
        raise StartupFailure(
            "MONGODB_URI must be set in production, to a replica set or Atlas;"
            " `sheaf dev` brings a MongoDB of its own."
        )
    with mongod.start(chosen.data) as private:
        export(mongodb_uri=private.uri)
        yield settings.load(type(chosen))


def export(**values: object) -> None:
    """Put settings into the environment, unless they are None."""
    for name, value in values.items():
        if value is not None:
            os.environ[settings.variable(name)] = str(value)


KEPT_AS = "secret"


def provide_secret(data: Path) -> None:
    """Put the secret of a data directory, made if need be, into the environment; raises StartupFailure."""
    try:
        secret = _kept_secret(data / KEPT_AS)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartupFailure(
            f"The data directory {data} cannot be used ({reason});"
            f" make it writable for this user, or choose another with --data or SHEAF_DATA."
        ) from None
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise StartupFailure(f"{data / KEPT_AS} is not a secret; delete it, and a new one is made.")
    export(jwt_secret=secret)


def _kept_secret(path: Path) -> str:
    """Read the secret; whoever makes it first makes it for all, and nobody sees half of it."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as new:  # mode 0600
            new.write(secrets.token_urlsafe(48))
            new.flush()
            with suppress(FileExistsError):
                os.link(new.name, path)
    return path.read_text(encoding="utf-8").strip()
