"""The decorators of handlers: Litestar's with the contract, and without what no request of ours needs."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, cast

from litestar import Controller, Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import HttpMethod, ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, AsyncAnyCallable, Empty, EmptyType, ExceptionHandlersMap
from litestar.utils import is_async_callable, normalize_path

from service.http.contract.operations import Described, Endpoint, Operation
from service.http.guards import Guard
from service.http.responses import Ready
from service.http.services import Services, services_of

SERVICES = "services"
"""The name by which handlers ask for `Services`, a dependency of the application."""


class route(HTTPRouteHandler):  # noqa: N801  # a decorator
    """A handler of the methods `http_method`, at a path below its controller's.

    `operation` is what the contract says of it.
    """

    operation: Operation | Described

    _exception_handlers: "ExceptionHandlersMap | None" = None
    _direct_call: "AsyncAnyCallable | EmptyType | None" = Empty
    _path_names: tuple[str, ...] = ()

    def __init__(self, path: str, *, operation: Operation | Described, **options: Any) -> None:
        super().__init__(path, **options)
        self.operation = operation

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Ask the guards; none of ours changes a handler, so that none needs a copy (7 µs) of its own."""
        for guard in self.resolve_guards():
            cast("Guard", guard).check(connection, self)

    def resolve_before_request(self) -> AsyncAnyCallable | None:
        """Return what calls the handler at once, where that needs only the request, services and path texts.

        Litestar's own way to the arguments takes 4 µs, and 10 µs more for a dependency.
        What answers before the handler takes its place, unless it returns nothing.
        """
        if self._direct_call is Empty:
            self._direct_call = self._find_direct_call()
        return self._direct_call or super().resolve_before_request()

    def _find_direct_call(self) -> AsyncAnyCallable | None:
        if not _is_direct(self):
            return None
        names = self.parsed_fn_signature.parameters
        self._path_names = tuple(name for name in names if name not in {"request", SERVICES})
        return self._call_with_services if SERVICES in names else self._call

    async def _call(self, request: Request[Any, Any, Any]) -> Any:
        path = request.scope["path_params"]
        return await self.fn(request=request, **{name: path[name] for name in self._path_names})

    async def _call_with_services(self, request: Request[Any, Any, Any]) -> Any:
        path = {name: request.scope["path_params"][name] for name in self._path_names}
        return await self.fn(request=request, services=services_of(request), **path)

    async def to_response(self, app: Litestar, data: Any, request: Request[Any, Any, Any]) -> ASGIApp:
        """Return what sends an answer: one that is ready sends itself."""
        if type(data) is Ready and not data.cookies:
            return cast("ASGIApp", data)
        return await super().to_response(app, data, request)

    def resolve_exception_handlers(self) -> ExceptionHandlersMap:
        """Return the handlers of exceptions, which are asked for at every request and never change."""
        if self._exception_handlers is None:
            self._exception_handlers = super().resolve_exception_handlers()
        return self._exception_handlers


def _is_direct(handler: HTTPRouteHandler) -> bool:
    """Whether a handler always returns a response, and takes the request, services and path texts alone."""
    signature = handler.parsed_fn_signature
    parameters = {name: field for name, field in signature.parameters.items() if name != "request"}
    provided = parameters.pop(SERVICES, None)
    return (
        "request" in signature.parameters
        and is_async_callable(handler.fn)
        and (provided is None or provided.annotation is Services)
        and issubclass(signature.return_type.origin or signature.return_type.annotation, Response)
        and all(
            field.annotation is str and getattr(field.kwarg_definition, "param_type", None) is ParamType.PATH
            for field in parameters.values()
        )
    )


_PATH_PARAMETER = re.compile(r"\{(\w+):\w+\}")


def endpoints_of(controllers: Iterable[type[Controller]]) -> Iterator[Endpoint]:
    """Yield the endpoints of controllers, in their order; not those that the contract describes otherwise."""
    for controller in controllers:
        members = vars(controller)
        for handler in members.values():
            if isinstance(handler, route) and isinstance(handler.operation, Operation):
                (method,) = handler.http_methods - {HttpMethod.HEAD}
                (path,) = handler.paths
                full = normalize_path(f"{members['path']}/{path}")
                yield Endpoint(method.lower(), _PATH_PARAMETER.sub(r"{\1}", full), handler.operation)


get = partial(route, http_method=[HttpMethod.GET, HttpMethod.HEAD])
delete = partial(route, http_method=HttpMethod.DELETE)
patch = partial(route, http_method=HttpMethod.PATCH)
post = partial(route, http_method=HttpMethod.POST)
put = partial(route, http_method=HttpMethod.PUT)
