"""Handlers as Litestar would call them: those that are called at once are given what their paths hold."""

from litestar import Litestar

from service.http.routing import route

KEEPS_DEFINITIONS = True


def test_direct_handlers_take_only_path_parameters(app: Litestar) -> None:
    handlers = [
        (found, handler)
        for found in app.routes
        for handler in getattr(found, "route_handlers", [])
        if isinstance(handler, route)
    ]
    direct = [(found, handler) for found, handler in handlers if handler.resolve_before_request() is not None]
    assert len(direct) > len(handlers) / 2
    for found, handler in direct:
        taken = set(handler.parsed_fn_signature.parameters) - {"request", "services"}
        assert taken <= set(getattr(found, "path_parameters", {})), handler
