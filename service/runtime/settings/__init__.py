"""Every knob of the service, with its type, default and description."""

from service.runtime.settings.effective import PREFIX, Development, Settings, variable
from service.runtime.settings.identity import LONGEST_ACCESS_TOKEN_TTL_S, MINIMUM_SECRET_BYTES
from service.runtime.settings.reading import load

__all__ = [
    "LONGEST_ACCESS_TOKEN_TTL_S",
    "MINIMUM_SECRET_BYTES",
    "PREFIX",
    "Development",
    "Settings",
    "load",
    "variable",
]
