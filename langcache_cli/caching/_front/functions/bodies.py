"""Cached functions whose values are bodies of HTTP answers: what `langcache_cli.routes` is built on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal, NamedTuple, cast

from langcache_cli.caching._blocks import Mode
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.default import default_registry, get_default_cache
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.modes.detours import Work, detoured
from langcache_cli.caching._front.modes.modes import Around
from langcache_cli.caching._functions.body import Body, Source, Unstorable
from langcache_cli.caching._functions.body_spec import BodySpec
from langcache_cli.caching._functions.options import CachedOptions, require_known

Endpoint = Callable[..., Coroutine[Any, Any, Any]]


def cached_endpoint(
    function: Endpoint, options: CachedOptions, cache: Cache | None
) -> CachedFunction[Any, Any]:
    """Make the cached function of an endpoint; see `answered` for its calls.

    Args:
        function: An ``async def`` function.
        options: As for `cached`.
        cache: None for the default cache.

    Raises:
        TypeError: As for `cached`.
    """
    require_known(options)
    spec = BodySpec(function, options)
    (default_registry() if cache is None else cache.registry).add(spec)
    return CachedFunction(function, spec, get_default_cache if cache is None else lambda: cache)


USUAL = Around(None, ())
"""No block and no observer."""

Outcome = Literal["hit", "near", "stale", "miss", "bypass"]


class Answered(NamedTuple):
    """How one request was answered.

    Attributes:
        value: What to send.
        outcome: How the body was found.
        now_ms: The time of the cache's clock.
        fresh_ms: How long the body is fresh from now, at least.
    """

    value: Body | Unstorable
    outcome: Outcome
    now_ms: int
    fresh_ms: int


async def answered(
    endpoint: CachedFunction[Any, Any],
    fingerprint: str,
    load: Callable[..., Awaitable[Body | Unstorable]],
    arguments: Mapping[str, Any],
) -> Answered:
    """The body of one request: from the cache if it can be.

    Args:
        endpoint: What `cached_endpoint` has made, of an enabled cache.
        fingerprint: Eight hex digits that change whenever the shape of the bodies does.
        load: What a miss runs, with ``arguments``.
        arguments: Of the function, by name.
    """
    cache, spec = endpoint.cache, cast("BodySpec", endpoint.spec).shaped(fingerprint)
    around = None if cache.direct else cache.modes.around()
    value = await detoured(Work(cache, spec, load, (), arguments, ()), around or USUAL)
    reader = cache.reader(spec)
    now_ms = reader.runtime.now_ms()
    past_the_cache = around is not None and around.mode is Mode.BYPASSED
    if not isinstance(value, Body) or value.source is Source.BYPASS or past_the_cache:
        return Answered(value, "bypass", now_ms, 0)
    if value.source is Source.LOAD:
        lifetime = reader.lifetime
        is_kept = lifetime.ttl_of is None and len(value.content) <= (spec.max_bytes or len(value.content))
        ttl_seconds = lifetime.ttl_seconds if is_kept else 0
        return Answered(value, "miss", now_ms, round(ttl_seconds * (1 - lifetime.jitter) * 1000))
    fresh_ms = value.fresh_until_ms - now_ms
    if value.fresh_until_ms <= 0:  # of another call, and not stored
        return Answered(value, "miss", now_ms, 0)
    if value.source is Source.NEAR:
        return Answered(value, "near", now_ms, fresh_ms)
    return Answered(value, "hit" if fresh_ms > 0 else "stale", now_ms, fresh_ms)
