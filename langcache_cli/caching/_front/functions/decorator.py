"""From ``@cached(...)`` to a cached function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from langcache_cli.caching._front.functions.binding import Binding
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.function_cache import FunctionCache
from langcache_cli.caching._front.functions.registry import Registry
from langcache_cli.caching._front.sync.cached_sync_function import CachedSyncFunction
from langcache_cli.caching._functions.options import CachedOptions, require_known
from langcache_cli.caching._functions.spec import FunctionSpec

P = ParamSpec("P")
T = TypeVar("T")


class Decorator(Protocol):
    """What ``cached(...)`` returns."""

    @overload
    def __call__(  # type: ignore[overload-overlap] # a coroutine function is a function, too
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> CachedFunction[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> CachedSyncFunction[P, T]: ...


_BINDINGS: dict[type[Any], Binding] = {classmethod: Binding.CLASS, staticmethod: Binding.NOTHING}


def decorator(cache: Callable[[], FunctionCache], registry: Registry, options: CachedOptions) -> Decorator:
    """Make the decorator behind `cached` and `Cache.cached`.

    Args:
        cache: Returns the cache; called at the first call of the function.
        registry: Refuses functions that would share their keys.
        options: Of the function.

    Raises:
        TypeError: An option is unknown.
    """
    require_known(options)

    def decorate(function: Callable[..., Any]) -> CachedFunction[..., Any] | CachedSyncFunction[..., Any]:
        binding = _BINDINGS.get(type(function), Binding.INSTANCE)
        if binding is not Binding.INSTANCE:
            function = function.__func__  # type: ignore[attr-defined]
        spec = FunctionSpec(function, options)
        registry.add(spec)
        kind = CachedSyncFunction if spec.is_synchronous else CachedFunction
        return kind(function, spec, cache, binding=binding)

    return cast("Decorator", decorate)
