"""The decorator of routes whose hits send the stored bytes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from starlette.concurrency import run_in_threadpool

from langcache_cli.caching import Cache, CachedFunction, CachedOptions
from langcache_cli.caching.tooling import (
    TEN_YEARS_SECONDS,
    Duration,
    cached_endpoint,
    database_sessions,
    ignored,
    key_parameters,
    seconds_of,
    signature_of,
)
from langcache_cli.routes.answer import AnswerPolicy
from langcache_cli.routes.endpoint import Endpoint
from langcache_cli.routes.handler import RouteHandler
from langcache_cli.routes.parameters import Parameters, examine
from langcache_cli.routes.secret_key import key_with_digests

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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

    def where(self, **values: object) -> Any:
        """For `invalidates`; see `CachedFunction.where`."""
        ...


class RouteDecorator(Protocol):
    """What `cached_route` returns."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> CachedRoute[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> CachedRoute[P, Coroutine[Any, Any, T]]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        """Decorate an endpoint."""
        ...


def cached_route(
    *,
    browser_ttl: Duration = 0,
    public: bool = False,
    cache: Cache | None = None,
    **options: Unpack[CachedOptions],
) -> RouteDecorator:
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
        browser_ttl: How long a browser may show an answer without asking again, at most as long as the entry
            is fresh; seconds, a `timedelta`, or text such as ``"5m"``. 0 makes it ask each time, so that an
            invalidation is seen by the next request.
        public: True lets shared caches, such as a CDN, keep answers.
        cache: None for the default cache.
        options: As for `cached`.

    Raises:
        TypeError: When the module is imported: as for `cached`, or an answer may depend on a dependency, the
            request or another parameter that is not part of the key, or on the caller if it is ``public``.
    """

    def decorate(function: Callable[..., Any], /) -> Any:
        return _decorated(function, options, browser_ttl=browser_ttl, public=public, cache=cache)

    return decorate


def _decorated(
    function: Callable[..., Any],
    options: CachedOptions,
    *,
    browser_ttl: Duration,
    public: bool,
    cache: Cache | None,
) -> Any:
    """The endpoint; see `cached_route`."""
    _require_plain_function(function)
    browser_seconds = _browser_seconds(function, browser_ttl)
    endpoint = Endpoint(function)
    key, ignore = options.get("key"), ignored(function.__qualname__, options)
    parameters = examine(function, endpoint.function, key=key, ignore=ignore)
    _require_sharable(function, parameters, browser_ttl=browser_seconds, public=public)
    _require_no_secret(function, options, parameters.secret)
    own_options = cast("CachedOptions", {**options, "ignore": tuple(parameters.not_in_key)})
    loaded = _as_coroutine_function(function)
    if parameters.secret:
        names = [name for name in signature_of(loaded).parameters if name not in parameters.not_in_key]
        sessions = database_sessions(function, signature_of(function).parameters)
        kept = [name for name in names if name not in sessions]
        own_options["key"] = key_with_digests(kept, parameters.secret)
    cached = cached_endpoint(loaded, own_options, cache)
    if cached.spec.keys.instance is not None:
        raise TypeError(f"{function.__qualname__}() is a method; decorate a function that calls it")
    policy = AnswerPolicy(browser_ttl=browser_seconds, public=public, vary=tuple(parameters.vary))
    endpoint.serve(RouteHandler(cached, policy), parameters)
    vars(endpoint.function).update(
        cached=cached, invalidate=cached.invalidate, key_for=cached.key_for, where=cached.where
    )
    return endpoint.function


def _require_plain_function(function: Callable[..., Any]) -> None:
    if not inspect.isfunction(function):
        raise TypeError(f"cached_route decorates functions, not {function!r}; write one that calls it")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__}() streams its answer, which cannot be cached")


def _require_no_secret(function: Callable[..., Any], options: CachedOptions, secret: list[str]) -> None:
    """Refuse to write into the name of a tag what a user authenticates with.

    Raises:
        TypeError: A tag does.
    """
    for tag in options.get("tags", ()):
        for name in secret:
            if name in key_parameters(tag):
                raise TypeError(
                    f"{function.__qualname__}(): the tag {tag!r} would show {name!r} in Redis, which users "
                    "log in with; take a tag of what it stands for"
                )


def _browser_seconds(function: Callable[..., Any], browser_ttl: Duration) -> float:
    try:
        seconds = seconds_of(browser_ttl)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{function.__qualname__}(): browser_ttl: {error}") from None
    if not 0 <= seconds <= TEN_YEARS_SECONDS:
        raise TypeError(f"{function.__qualname__}(): browser_ttl must be 0 or more, not {browser_ttl!r}")
    return seconds


def _require_sharable(
    function: Callable[..., Any], parameters: Parameters, *, browser_ttl: float, public: bool
) -> None:
    """Refuse to let caches on the way keep what must not reach others.

    Raises:
        TypeError: The answers are not for everybody, or it is not known which requests have the same.
    """
    if public and parameters.of_caller:
        raise TypeError(
            f"{function.__qualname__}(): public=True lets shared caches keep its answers and send them to "
            "everybody, and they depend on who asks; leave public=True out"
        )
    if browser_ttl and parameters.of_anything:
        raise TypeError(
            f"{function.__qualname__}(): with browser_ttl a browser sends no request, and its answers depend "
            "on the request as a whole; leave browser_ttl out, or take header and cookie parameters"
        )


def _as_coroutine_function(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A function to load with; one that is not ``async`` runs in a thread, as FastAPI runs it."""
    is_coroutine = inspect.iscoroutinefunction(function)

    @functools.wraps(function)
    async def load(*args: Any, **kwargs: Any) -> Any:
        if is_coroutine:
            return await function(*args, **kwargs)
        return await run_in_threadpool(function, *args, **kwargs)

    signature = signature_of(function)
    shown = [item.replace(default=_plain_default(item.default)) for item in signature.parameters.values()]
    vars(load)["__signature__"] = signature.replace(parameters=shown)
    return load


def _plain_default(default: Any) -> Any:
    """The default of a parameter, which FastAPI allows to stand in a marker: ``Header(None)``."""
    inner = getattr(default, "default", default)
    is_marker = type(default).__module__ == "fastapi.params"
    return (
        inner if is_marker and type(inner).__name__ not in ("PydanticUndefinedType", "ellipsis") else default
    )
