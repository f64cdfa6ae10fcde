"""The services of an application under test, and others in place of some of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from litestar import Litestar

from service.http.services import Services


def services_of(app: Litestar) -> Services:
    return cast("Services", app.state.services)


@contextmanager
def replaced(app: Litestar, **changes: Any) -> Iterator[None]:
    """Have requests find other services, by their name in `Services`, until the context ends.

    So do the services that hold one under the same name.
    """
    own = services_of(app)
    app.state.services = _with(own, changes)
    yield
    app.state.services = own


def _with(part: Any, changes: dict[str, Any]) -> Any:
    others = {}
    for name in (each.name for each in fields(part)):
        present = getattr(part, name)
        other = (
            changes[name]
            if name in changes
            else _with(present, changes)
            if is_dataclass(present)
            else present
        )
        if other is not present:
            others[name] = other
    return replace(part, **others) if others else part
