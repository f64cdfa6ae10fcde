"""Every setting of the service, with its type, default and description."""

from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from service.kit.errors import StartupFailure
from service.runtime.settings.effective import PREFIX, Development, Settings, variable
from service.runtime.settings.identity import LONGEST_ACCESS_TOKEN_TTL_S, MINIMUM_SECRET_BYTES
from service.runtime.settings.kinds import field_of

__all__ = [
    "LONGEST_ACCESS_TOKEN_TTL_S",
    "MINIMUM_SECRET_BYTES",
    "PREFIX",
    "Development",
    "Settings",
    "load",
    "variable",
]


def load(kind: type[Settings] = Settings, /, **overrides: Any) -> Settings:
    """Read the settings, with the defaults of a kind; overrides win over the environment.

    Raises StartupFailure, one sentence naming the variable, when a value is wrong.
    """
    try:
        return kind(**overrides)
    except SettingsError as error:
        name = str(error).split('"')[1]  # `error parsing value for field "…" from source "…"`
        raise StartupFailure(f"{variable(name)} is wrong: must be a JSON object.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        problem = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise StartupFailure(f"{problem}.") from None
        name = field_of(first["loc"])
        where = name if name == "MONGODB_URI" else variable(name)
        raise StartupFailure(f"{where} is wrong: {problem[:1].lower()}{problem[1:]}.") from None
