"""How a FastAPI route turns what its function returns into a body, and running just that step.

The step is FastAPI's own: a second route with the same options for responses, and no dependencies. So the
body is that of the route without the decorator, whatever option shapes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from types import FunctionType
from typing import Any
from weakref import ref

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from langcache_cli.routes.model_shape import digest_of_class, digest_of_model
from langcache_cli.routes.reads import Reads, reads_of

_OPTIONS = (
    "response_model_include",
    "response_model_exclude",
    "response_model_by_alias",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
    "response_class",
)
_VALUE = "langcache_value"
"""Where the scope of a request holds what the function has returned."""


class RouteShape:
    """How one route shapes its bodies.

    Attributes:
        fingerprint: Eight hex digits that change whenever the bodies may look different.
        status_code: Of its answers, unless the function sets another.
        reads: What the dependencies of the route, of its routers and of the application read, which may
            refuse a caller.
    """

    def __init__(self, route: Any) -> None:
        """Take over the options of a route."""
        options = {name: getattr(route, name) for name in _OPTIONS}
        model = route.response_model
        self.status_code = route.status_code or 200
        self.fingerprint = _fingerprint(model, options)
        self.reads = sum(map(reads_of, route.dependant.dependencies), Reads())
        rendering = APIRoute(route.path, _endpoint_named_as(route.endpoint), response_model=model, **options)
        self._handler: Callable[[Request], Awaitable[Response]] = rendering.get_route_handler()

    async def render(self, request: Request, value: Any) -> Response:
        """The response that FastAPI makes of a returned value.

        Raises:
            ResponseValidationError: It does not fit the response model.
        """
        request.scope[_VALUE] = value
        try:
            return await self._handler(request)
        finally:
            del request.scope[_VALUE]


async def _returned(langcache_request: Request) -> Any:
    return langcache_request.scope[_VALUE]


def _endpoint_named_as(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """`_returned` with the name and place of an endpoint, which FastAPI shows in its errors."""
    function = getattr(endpoint, "cached", endpoint)
    code = inspect.unwrap(getattr(function, "uncached", function)).__code__
    shown = _returned.__code__.replace(
        co_filename=code.co_filename, co_firstlineno=code.co_firstlineno, co_name=code.co_name
    )
    made = FunctionType(shown, globals(), code.co_name)
    made.__annotations__ = _returned.__annotations__
    return made


def _fingerprint(model: Any, options: dict[str, Any]) -> str:
    kind = getattr(options["response_class"], "value", options["response_class"])
    texts = [digest_of_class(kind), digest_of_model(model) if model is not None else "no model"]
    texts += [f"{name}={_stable(option)}" for name, option in options.items() if name != "response_class"]
    return blake2b("\n".join(texts).encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()


def _stable(option: Any) -> str:
    """The text of an option; ``include`` and ``exclude`` are sets, or dicts of these."""
    if isinstance(option, (set, frozenset)):
        return str(sorted(map(repr, option)))
    if isinstance(option, dict):
        return str(sorted((repr(name), _stable(inner)) for name, inner in option.items()))
    return repr(option)


_shapes: dict[int, tuple[ref[Any], RouteShape]] = {}
"""By the identity of what has the options: FastAPI keeps them in objects without a hash."""


def shape_of(request: Request) -> RouteShape | None:
    """The shape of the route that a request is handled by; None if FastAPI does not handle it."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return None
    options = _with_inherited_options(request, route)
    known, shape = _shapes.get(id(options), (None, None))
    if known is None or known() is not options or shape is None:
        shape = RouteShape(options)
        _shapes[id(options)] = ref(options, _forget(id(options))), shape
    return shape


def _forget(number: int) -> Callable[[Any], object]:
    return lambda _: _shapes.pop(number, None)


def _with_inherited_options(request: Request, route: APIRoute) -> Any:
    """The route, or what has its options together with those of the routers that include it.

    Recent versions of FastAPI keep these beside the route, in the scope of each request.
    """
    beside = request.scope.get("fastapi")
    found = beside.values() if isinstance(beside, dict) else ()
    return next((item for item in found if getattr(item, "original_route", None) is route), route)
