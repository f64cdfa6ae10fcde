"""The services of an application under test, and others in place of some of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from litestar import Litestar

from service.http.services import Services


def services_of(app: Litestar) -> Services:
    return cast("Services", app.state.services)


@contextmanager
def replaced(app: Litestar, **changes: Any) -> Iterator[None]:
    """Have requests find other services, by their name in `Services`, until the context ends."""
    own = services_of(app)
    app.state.services = replace(own, **changes)
    yield
    app.state.services = own
