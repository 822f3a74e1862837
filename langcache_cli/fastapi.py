"""The cache in a FastAPI application: start and end with it, health page, clearing, metrics, dashboard.

```python
app = FastAPI(lifespan=cache_lifespan())
app.include_router(cache_router(admin=[Depends(require_admin)]))
app.include_router(cache_dashboard(admin=[Depends(require_admin)]), prefix="/admin/cache")
```
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from langcache_cli.caching import Cache, CacheError, CacheStats, get_default_cache
from langcache_cli.caching.tooling import acting_as
from langcache_cli.prometheus import CacheCollector
from langcache_cli.routes.cached_route import CachedRoute, cached_route
from langcache_cli.server_timing import CacheTraceMiddleware

__all__ = [
    "CacheTraceMiddleware",
    "CachedRoute",
    "Cleared",
    "Health",
    "cache_dashboard",
    "cache_lifespan",
    "cache_router",
    "cached_route",
]

logger = logging.getLogger(__name__)

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

ALL = "all"
"""In place of a cache type: every entry of the namespace."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of ``GET /health/cache``.

    Attributes:
        status: ``degraded`` while calls go straight to their functions, nothing can be stored, or an
            invalidation waits; ``error`` of the numbers says why.
        stats: The numbers of the last hour. While Redis can be used and they alone could not be read, the
            status is ``healthy``, ``numbers`` is false, and ``error`` says why.
    """

    status: Literal["healthy", "degraded"]
    stats: CacheStats


@dataclass(frozen=True, slots=True)
class Cleared:
    """The answer of ``POST /admin/cache/clear``.

    Attributes:
        cache_type: The type that was cleared, or ``all``.
        removed: Keys removed.
        deferred: True if Redis has not confirmed it; calls of this process go straight to their functions
            until it has.
    """

    cache_type: str
    removed: int
    deferred: bool


def cache_lifespan(lifespan: Lifespan | None = None, *, cache: Cache | None = None) -> Lifespan:
    """A lifespan that opens and closes the cache around the application's own lifespan.

    At the start it connects. If Redis is down it logs a warning, and the application starts all the same. At
    the end, after the application's own shutdown, it delivers statistics and invalidations and closes the
    connections.

    Args:
        lifespan: The application's own lifespan; None if it has none.
        cache: None for the default cache, which is made from the environment at the start.
    """

    @asynccontextmanager
    async def around(app: FastAPI) -> AsyncIterator[Any]:
        used = cache or get_default_cache()
        async with used:
            if used.enabled:
                try:
                    await used.ping()
                except CacheError as error:
                    what = "a part of the cache" if error.lost_nodes else "a cache"
                    logger.warning("starting without %s: %s", what, error)
            if lifespan is None:
                yield None
            else:
                async with lifespan(app) as state:
                    yield state

    return around


def cache_router(
    *,
    cache: Cache | None = None,
    admin: Sequence[Depends] = (),
    actor: Callable[[Request], str] | None = None,
    degraded_status: int = status.HTTP_200_OK,
) -> APIRouter:
    """``GET /health/cache``, ``GET /metrics`` and, for admins, ``POST /admin/cache/clear``.

    Args:
        cache: None for the default cache.
        admin: Dependencies that refuse every request but those of admins. Without any, the route for clearing
            does not exist.
        actor: Who sends a request to clear, in words, for the list of what happened; None for the address of
            the client.
        degraded_status: The HTTP status of the health page while Redis cannot be used. 200 keeps this process
            in a load balancer, since it works without Redis; 503 has it taken out.
    """
    router = APIRouter(tags=["cache"])
    _add_health(router, cache, degraded_status)
    _add_metrics(router, cache)
    if admin:
        _add_clearing(router, cache, admin, actor or _client_address)
    return router


def cache_dashboard(
    *,
    cache: Cache | None = None,
    admin: Sequence[Depends],
    actor: Callable[[Request], str] | None = None,
    read_only: bool = False,
    hide_arguments: bool = False,
) -> APIRouter:
    """The page of ``langcache dashboard``, and its endpoints: ``include_router(..., prefix="/admin/cache")``.

    The files of the page hold no data and are open to all, since a browser sends no bearer token by itself:
    the page asks for the token when an endpoint answers 401 or 403. Dependencies on cookies and on Basic
    authentication work as they are.

    Args:
        cache: None for the default cache.
        admin: Dependencies that refuse every request for data but those of admins.
        actor: Who sends a request, in words; None for the address of the client.
        read_only: Nothing can be removed; the endpoint does not exist.
        hide_arguments: Keys are shown without the arguments of calls, and values not at all.

    Raises:
        ValueError: There is no dependency in ``admin``.
    """
    if not admin:
        raise ValueError("cache_dashboard needs admin=[Depends(...)]: it shows what is cached, and clears it")
    # an application without a dashboard does not pay for it
    from langcache_cli.web.endpoints import Endpoints, client_address  # noqa: PLC0415
    from langcache_cli.web.router import dashboard_router  # noqa: PLC0415

    endpoints = Endpoints(
        lambda: cache or get_default_cache(),
        actor=actor or client_address,
        read_only=read_only,
        hide_arguments=hide_arguments,
    )
    return dashboard_router(endpoints, admin)


def _add_health(router: APIRouter, cache: Cache | None, degraded_status: int) -> None:
    @router.get("/health/cache", responses={degraded_status: {"model": Health}})
    async def cache_health(response: Response) -> Health:
        """Whether Redis can be used, and the numbers of the last hour.

        Takes no longer than one cache operation.
        """
        stats = await (cache or get_default_cache()).stats()
        if not stats["enabled"] or (stats["usable"] and not stats["outbox"]):
            return Health(status="healthy", stats=stats)
        response.status_code = degraded_status
        return Health(status="degraded", stats=stats)


def _add_metrics(router: APIRouter, cache: Cache | None) -> None:
    registry = CollectorRegistry()
    registry.register(CacheCollector(cache))

    @router.get("/metrics", response_class=PlainTextResponse)
    def cache_metrics() -> PlainTextResponse:
        """The counters of this process in Prometheus' text format."""
        # Not async, so FastAPI runs it in a thread: thousands of series would block the event loop for long.
        return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _client_address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _add_clearing(
    router: APIRouter, cache: Cache | None, admin: Sequence[Depends], actor: Callable[[Request], str]
) -> None:
    @router.post(
        "/admin/cache/clear",
        dependencies=list(admin),
        responses={
            status.HTTP_202_ACCEPTED: {"model": Cleared, "description": "Redis has not confirmed it yet"}
        },
    )
    async def clear_cache(
        request: Request,
        response: Response,
        cache_type: Annotated[str, Query(description="A cache type, or `all`.")] = ALL,
    ) -> Cleared:
        """Remove every entry of a cache type, or all."""
        target = cache or get_default_cache()
        _require_known(target, cache_type)
        with acting_as(actor(request), via="http"):
            removed = await (
                target.invalidate(f"{target.settings.namespace}:*")
                if cache_type == ALL
                else target.invalidate_type(cache_type)
            )
        deferred = target.pending_invalidations > 0
        if deferred:
            response.status_code = status.HTTP_202_ACCEPTED
        return Cleared(cache_type=cache_type, removed=removed, deferred=deferred)


def _require_known(cache: Cache, cache_type: str) -> None:
    """Answer an unknown cache type with 422, in the form of FastAPI's own validation errors.

    Raises:
        RequestValidationError: There is no such cache type.
    """
    known = [ALL, *cache.settings.types]
    if cache_type not in known:
        raise RequestValidationError(
            [
                {
                    "type": "enum",
                    "loc": ("query", "cache_type"),
                    "msg": f"Input should be one of: {', '.join(known)}",
                    "input": cache_type,
                }
            ]
        )
