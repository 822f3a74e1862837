"""The decorator of routes whose hits send the stored bytes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching import Cache, CachedFunction, CachedOptions
from langcache_cli.caching.tooling import cached_endpoint
from langcache_cli.routes.answer import AnswerPolicy
from langcache_cli.routes.handler import RouteHandler
from langcache_cli.routes.parameters import Parameters, examine, resolved_signature

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)

_REQUEST, _RESPONSE = "langcache_request", "langcache_response"
"""Parameters that an endpoint is given by FastAPI if it has none of its own for them."""


class CachedRoute(Protocol[P, T_co]):
    """What `cached_route` makes of an endpoint."""

    cached: CachedFunction[Any, Any]
    """The means to invalidate its entries, which `invalidate` and `key_for` are taken from."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Answer a request; called by the framework."""
        ...

    @overload
    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    @overload
    async def invalidate(self, **kwargs: Any) -> bool: ...
    async def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the entry of these arguments; see `CachedFunction.invalidate`."""
        ...

    @overload
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    def key_for(self, **kwargs: Any) -> str: ...
    def key_for(self, *args: Any, **kwargs: Any) -> str:
        """The Redis key of these arguments; see `CachedFunction.key_for`."""
        ...


def cached_route(
    *,
    browser_ttl: float = 0,
    public: bool = False,
    cache: Cache | None = None,
    **options: Unpack[CachedOptions],
) -> Callable[[Callable[P, T_co]], CachedRoute[P, T_co]]:
    """Cache the answers of a FastAPI or Starlette route, and send hits as they are stored.

    ```python
    @router.get("/levels/{level}")
    @cached_route(key_prefix="vocabulary_level", ttl=300, tags=("level:{level}",))
    async def read_level(level: str, db: Annotated[AsyncSession, Depends(get_db)]) -> list[Word]: ...
    ```

    The body, the status and the headers are those of the route without the decorator, with ``ETag``,
    ``Cache-Control``, ``X-Cache``, ``Age`` and, where it applies, ``Vary`` and ``Content-Encoding`` added. A
    request with ``If-None-Match`` may be answered by 304. Dependencies run at each request, hit or not; the
    function and its background tasks only at a miss. Passed through, and not stored: a response object that
    the function returns in place of a value, an answer with another status than 200 or a cookie, and every
    method but GET and HEAD. Of a Starlette endpoint, a `JSONResponse` is stored. Called without a request, as
    by a unit test, it runs the function.

    Args:
        browser_ttl: Seconds that a browser may show an answer without asking again, at most as long as the
            entry is fresh. 0 makes it ask each time, so that an invalidation is seen by the next request.
        public: True lets shared caches, such as a CDN, keep answers.
        cache: None for the default cache.
        options: As for `cached`.

    Raises:
        TypeError: When the module is imported: as for `cached`, or an answer may depend on a dependency, the
            request or another parameter that is not part of the key, or on the caller if it is ``public``.
    """

    def decorate(function: Callable[P, T_co]) -> CachedRoute[P, T_co]:
        return cast("CachedRoute[P, T_co]", _decorated(function, browser_ttl, public, cache, options))

    return decorate


def _decorated(
    function: Callable[..., Any],
    browser_ttl: float,
    public: bool,
    cache: Cache | None,
    options: CachedOptions,
) -> Any:
    """The endpoint; see `cached_route`."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__}() streams its answer, which cannot be cached")
    signature = resolved_signature(function)
    ignore = tuple(options.get("ignore", ()))
    parameters = examine(function, signature, key=options.get("key"), ignore=ignore)
    if public and parameters.of_caller:
        raise TypeError(
            f"{function.__qualname__}(): public=True lets shared caches keep its answers, and these "
            "depend on a dependency or a cookie; leave public out, or take that from the key"
        )
    own_options = cast("CachedOptions", {**options, "ignore": parameters.not_in_key})
    cached = cached_endpoint(_as_coroutine_function(function), own_options, cache)
    policy = AnswerPolicy(browser_ttl=browser_ttl, public=public, vary=parameters.vary)
    return _endpoint(function, signature, parameters, RouteHandler(cached, policy))


def _as_coroutine_function(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The function; one that is not ``async`` runs in a thread, as FastAPI runs it."""
    if inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    async def in_thread(*args: Any, **kwargs: Any) -> Any:
        return await run_in_threadpool(function, *args, **kwargs)

    return in_thread


def _endpoint(
    function: Callable[..., Any], signature: inspect.Signature, parameters: Parameters, handler: RouteHandler
) -> Any:
    """The function that the framework calls: Starlette takes nothing else for an endpoint."""

    async def endpoint(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind_partial(*args).arguments | kwargs if args else kwargs
        request = arguments.get(parameters.request) if parameters.request else arguments.pop(_REQUEST, None)
        response = (
            arguments.get(parameters.response) if parameters.response else arguments.pop(_RESPONSE, None)
        )
        if not isinstance(request, Request):  # called as a function, such as by a unit test
            return await handler.cached.uncached(**arguments)
        return await handler.handle(request, response, arguments)

    functools.update_wrapper(endpoint, function)
    del endpoint.__wrapped__  # type: ignore[attr-defined]
    # FastAPI looks up quoted annotations in the module of the function, which is this one
    with_added = [*signature.parameters.values(), *_added_parameters(parameters)]
    shown = signature.replace(parameters=sorted(with_added, key=lambda item: item.kind))
    vars(endpoint).update(
        __signature__=shown,
        cached=handler.cached,
        invalidate=handler.cached.invalidate,
        key_for=handler.cached.key_for,
    )
    endpoint.__annotations__ = {
        **{name: item.annotation for name, item in shown.parameters.items()},
        "return": shown.return_annotation,
    }
    return endpoint


def _added_parameters(parameters: Parameters) -> list[inspect.Parameter]:
    added = []
    if parameters.request is None:
        added.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    if parameters.response is None:
        added.append(inspect.Parameter(_RESPONSE, inspect.Parameter.KEYWORD_ONLY, annotation=Response))
    return added
