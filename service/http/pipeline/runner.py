"""Runs the steps of a pipeline around an application, all of them in one pass."""

from collections.abc import Awaitable, Sequence
from typing import Any, cast

import structlog
from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send

from service.http.pipeline.headers import FIRST_VALUES
from service.http.pipeline.step import Exchange, Step

log = structlog.get_logger("sheaf.middleware")


def surround(application: Litestar, steps: Sequence[Step]) -> None:
    """Put steps around an application: around its router alone, for what is raised there a step answers.

    Litestar's own answering costs a request four coroutines more.
    """
    router, answering = application.asgi_router, application.asgi_handler

    def routed(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_lifespan = scope["type"] == "lifespan"  # type: ignore[comparison-overlap]  # servers give plain text
        return (answering if is_lifespan else router)(scope, receive, send)

    application.asgi_handler = Pipeline(cast("ASGIApp", routed), steps)


class Pipeline:
    """An ASGI application that is another one with steps around it, the first outermost.

    Nested middlewares cost a coroutine and a closure each, for every request and each part of its answer;
    a pass over those methods that the steps do have costs a tenth of that.
    """

    def __init__(self, app: ASGIApp, steps: Sequence[Step]) -> None:
        self._app = app
        kinds = {kind for step in steps for kind in step.kinds}
        self._chains = {kind: _Chain([step for step in steps if kind in step.kinds]) for kind in kinds}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have every step look at the request, and then the application answer it."""
        chain = self._chains.get(scope["type"])
        if chain is None:
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        exchange.state[FIRST_VALUES] = exchange.headers
        exchange.completions = chain.completions
        exchange.depth = chain.first_depth
        try:
            for depth_after, enter in chain.enters:
                waiting = enter(exchange)
                if waiting is not None:
                    await waiting
                    if exchange.has_begun:
                        return
                exchange.depth = depth_after
            exchange.receivings = chain.receivings[exchange.depth]
            await self._app(scope, exchange.receive, exchange.send)
        except BaseException as error:  # noqa: BLE001  # the steps decide
            await chain.answer(exchange, exchange.depth, error)
        finally:
            for leave in chain.leaves[exchange.depth]:
                try:
                    leave(exchange)
                except Exception:  # or those further out would keep what they have taken
                    log.exception("step not left")
            exchange.let_go(receive)


class _Chain:
    """The methods that steps have, by how many of the steps have been entered."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.enters: list[tuple[int, Any]] = []
        depth = self.first_depth = next(
            (i for i, step in enumerate(steps) if _has(step, "enter")), len(steps)
        )
        for position in range(depth, len(steps)):
            if _has(steps[position], "enter"):
                followers = steps[position + 1 :]
                idle = next((i for i, step in enumerate(followers) if _has(step, "enter")), len(followers))
                self.enters.append((position + 1 + idle, steps[position].enter))
        depths = range(len(steps) + 1)
        self.completions = [_methods(reversed(steps[:depth]), "complete") for depth in depths]
        self.receivings = [_methods(steps[:depth], "receiving") for depth in depths]
        self.leaves = [_methods(reversed(steps[:depth]), "leave") for depth in depths]
        self._failed = [_methods(reversed(steps[:depth]), "failed") for depth in depths]
        self._answers = _methods(reversed(steps), "answer")

    async def answer(self, exchange: Exchange, depth: int, error: BaseException) -> None:
        """Answer for an error, or raise it, or what a step makes of it."""
        for failed in self._failed[depth]:
            error = failed(exchange, error)
        if not isinstance(error, Exception) or not self._answers:
            raise error
        await self._answers[0](exchange, error)


def _has(step: Step, name: str) -> bool:
    return getattr(type(step), name) is not getattr(Step, name)


def _methods(steps: Any, name: str) -> tuple[Any, ...]:
    return tuple(getattr(step, name) for step in steps if _has(step, name))
