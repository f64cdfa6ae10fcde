"""The MongoDB that a command works with: the one that is set, or a private one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from service.dev import mongod
from service.kit.errors import StartupFailure
from service.runtime import settings
from service.runtime.settings import Settings

UNREACHABLE = "MongoDB cannot be reached; check that MONGODB_URI is right and that it runs."


@contextmanager
def available(chosen: Settings, *, shared: bool = False) -> Iterator[Settings]:
    """Give settings with MONGODB_URI, having started a private MongoDB for the time if none was set.

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
