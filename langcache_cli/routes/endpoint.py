"""The function that a framework calls in the place of the decorated one.

Starlette takes nothing but a function for an endpoint. FastAPI looks up quoted annotations among the globals
of its endpoint: they are those of the decorated function's module, so that it sees what it would see without
the decorator.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import FunctionType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching.tooling import signature_of
from langcache_cli.routes.handler import RouteHandler
from langcache_cli.routes.parameters import Parameters

logger = logging.getLogger("langcache_cli.caching")

_REQUEST, _RESPONSE = "langcache_request", "langcache_response"
"""Parameters that an endpoint is given by FastAPI if the function has none of its own for them."""


_ANSWERING = "langcache_answering"
"""Where a request's scope holds the endpoints that answer it: one that calls itself calls its function."""


class Endpoint:
    """The calls of one cached route.

    Attributes:
        function: What the framework is given.
    """

    def __init__(self, decorated: Callable[..., Any]) -> None:
        """Make the function; `serve` must follow before it is given to a framework."""
        self._decorated = decorated
        self._signature = signature_of(decorated)
        self._handler: RouteHandler
        self._parameters: Parameters
        self._has_warned = False
        self.function = self._function()

    def serve(self, handler: RouteHandler, parameters: Parameters) -> None:
        """Answer requests from now on.

        FastAPI is asked for a request and a response if the function has no parameter of its own for them.
        """
        self._handler, self._parameters = handler, parameters
        wanted = ((_REQUEST, Request, parameters.request), (_RESPONSE, Response, parameters.response))
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)
            for name, kind, own in wanted
            if own is None
        ]
        signature: inspect.Signature = vars(self.function)["__signature__"]
        shown = sorted([*signature.parameters.values(), *added], key=lambda item: item.kind)
        vars(self.function)["__signature__"] = signature.replace(parameters=shown)

    def _function(self) -> Callable[..., Any]:
        call = self._call

        async def endpoint(*args: Any, **kwargs: Any) -> Any:
            return await call(args, kwargs)

        own_globals = getattr(inspect.unwrap(self._decorated), "__globals__", self._decorated.__globals__)
        made: Any = FunctionType(endpoint.__code__, own_globals, None, None, endpoint.__closure__)
        functools.update_wrapper(made, self._decorated)
        del made.__wrapped__
        shown = [_with_request(item) for item in self._signature.parameters.values()]
        made.__signature__ = self._signature.replace(parameters=shown)
        return made  # type: ignore[no-any-return]

    async def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parameters = self._parameters
        arguments = self._signature.bind_partial(*args).arguments | kwargs if args else kwargs
        request, response = arguments.pop(_REQUEST, None), arguments.pop(_RESPONSE, None)
        if parameters.request is not None:
            request = arguments.get(parameters.request)
        if parameters.response is not None:
            response = arguments.get(parameters.response)
        if not isinstance(request, Request):
            if isinstance(response, Response):  # of FastAPI, and a function in between has kept the request
                self._warn()
            return await self._handler.cached.uncached(**arguments)
        answering = request.scope.setdefault(_ANSWERING, set())
        if id(self) in answering or not self._is_asked_by(request):
            return await self._handler.cached.uncached(**arguments)
        answering.add(id(self))
        try:
            return await self._handler.handle(request, response, arguments)
        finally:
            answering.discard(id(self))

    def _is_asked_by(self, request: Request) -> bool:
        """False for a call by another endpoint, which has passed on the request that it answers itself."""
        found: Any = request.scope.get("endpoint", self.function)
        while found is not None:
            if found is self.function:
                return True
            found = getattr(found, "__wrapped__", None) or getattr(found, "func", None)
        self._warn()
        return False

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s.%s is called by another function than the router, and not cached then; "
                "write @cached_route(...) directly below the decorator of the router",
                self._decorated.__module__,
                self._decorated.__qualname__,
            )


def _with_request(parameter: inspect.Parameter) -> inspect.Parameter:
    """An endpoint of Starlette need not annotate its request."""
    if parameter.name == "request" and parameter.annotation is inspect.Parameter.empty:
        return parameter.replace(annotation=Request)
    return parameter
