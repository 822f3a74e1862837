"""From ``@cached(...)`` to a cached function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._front.registry import Registry
from langcache_cli.caching._functions.spec import FunctionSpec, Options
from langcache_cli.caching._keys.builder import KeyBuilder

if TYPE_CHECKING:
    from langcache_cli.caching._front.cache import Cache

P = ParamSpec("P")
T = TypeVar("T")


def decorator(
    cache: Callable[[], Cache],
    registry: Registry,
    *,
    key_prefix: str,
    key: str | None,
    ignore: Sequence[str],
    options: Options,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], CachedFunction[P, T]]:
    """Make the decorator behind `cached` and `Cache.cached`; ``cache`` is asked for at the first call."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> CachedFunction[P, T]:
        keys = KeyBuilder(function, prefix=key_prefix, ignore=tuple(ignore), template=key)
        spec = FunctionSpec(function, keys, options)
        registry.add(spec)
        return CachedFunction(function, spec, cache)

    return decorate
