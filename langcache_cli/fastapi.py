"""The cache in a FastAPI application: its life with the application's, a health page, clearing, metrics.

```python
app = FastAPI(lifespan=cache_lifespan())
app.include_router(cache_router(admin=[Depends(require_admin)]))
```
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.responses import PlainTextResponse

from langcache_cli.caching import Cache, CacheError, CacheStats, get_default_cache
from langcache_cli.caching.tooling import prometheus_text

logger = logging.getLogger(__name__)

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

ALL = "all"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Health:
    """What ``GET /health/cache`` says: ``degraded`` means that calls go straight to their functions."""

    status: Literal["healthy", "degraded"]
    stats: CacheStats


@dataclass(frozen=True, slots=True)
class Cleared:
    """What ``POST /admin/cache/clear`` has done.

    ``deferred``: Redis did not confirm; this process goes straight to the functions until it has.
    """

    cache_type: str
    removed: int
    deferred: bool


def cache_lifespan(lifespan: Lifespan | None = None, *, cache: Cache | None = None) -> Lifespan:
    """The lifespan of an application that uses a cache, around one of its own if it has one.

    At the start it connects; a Redis that is down is logged and keeps nothing from starting. At the end it
    delivers statistics and invalidations and closes the connections, after the application's own shutdown.

    Args:
        lifespan: The application's own.
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
                    logger.warning("starting without a cache: %s", error)
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
    degraded_status: int = status.HTTP_200_OK,
) -> APIRouter:
    """``GET /health/cache``, ``GET /metrics`` and, for admins, ``POST /admin/cache/clear``.

    Args:
        cache: None for the default cache.
        admin: Dependencies that let admins through and nobody else. Without any, nothing can be cleared.
        degraded_status: The HTTP status of the health page while Redis cannot be used: 200 to keep this
            process in a load balancer, as it works without; 503 to have it taken out.
    """
    router = APIRouter(tags=["cache"])

    def used() -> Cache:
        return cache or get_default_cache()

    @router.get("/health/cache", responses={degraded_status: {"model": Health}})
    async def cache_health(response: Response) -> Health:
        """Whether Redis can be used, and the numbers of the last hour; never slower than one operation."""
        stats = await used().stats()
        if not stats["enabled"] or (stats["reachable"] and not stats["outbox"]):
            return Health(status="healthy", stats=stats)
        response.status_code = degraded_status
        return Health(status="degraded", stats=stats)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def cache_metrics() -> PlainTextResponse:
        """The counters of this process in Prometheus' text format."""
        return PlainTextResponse(prometheus_text(used()), media_type=PROMETHEUS)

    if admin:

        @router.post(
            "/admin/cache/clear",
            dependencies=list(admin),
            responses={status.HTTP_202_ACCEPTED: {"model": Cleared, "description": "Kept for later"}},
        )
        async def clear_cache(
            response: Response, cache_type: Annotated[str, Query(description="A cache type, or `all`.")] = ALL
        ) -> Cleared:
            """Remove every entry of a cache type, or all."""
            target = used()
            _require_known(target, cache_type)
            namespace = target.settings.namespace
            removed = await (
                target.invalidate(f"{namespace}:*")
                if cache_type == ALL
                else target.invalidate_type(cache_type)
            )
            deferred = target.pending_invalidations > 0
            if deferred:
                response.status_code = status.HTTP_202_ACCEPTED
            return Cleared(cache_type=cache_type, removed=removed, deferred=deferred)

    return router


def _require_known(cache: Cache, cache_type: str) -> None:
    """Answer 422, in the form of FastAPI's own errors, to the name of no cache type."""
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
