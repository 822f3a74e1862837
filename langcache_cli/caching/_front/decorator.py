"""From ``@cached(...)`` to a cached function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from langcache_cli.caching._front.binding import Binding
from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._front.function_cache import FunctionCache
from langcache_cli.caching._front.registry import Registry
from langcache_cli.caching._functions.options import CachedOptions, require_known
from langcache_cli.caching._functions.spec import FunctionSpec

P = ParamSpec("P")
T = TypeVar("T")


_BINDINGS: dict[type[Any], Binding] = {classmethod: Binding.CLASS, staticmethod: Binding.NOTHING}


def decorator(
    cache: Callable[[], FunctionCache], registry: Registry, options: CachedOptions
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], CachedFunction[P, T]]:
    """Make the decorator behind `cached` and `Cache.cached`.

    Args:
        cache: Returns the cache; called at the first call of the function.
        registry: Refuses functions that would share their keys.
        options: Of the function.

    Raises:
        TypeError: An option is unknown.
    """
    require_known(options)

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> CachedFunction[P, T]:
        binding = _BINDINGS.get(type(function), Binding.INSTANCE)
        if binding is not Binding.INSTANCE:
            function = function.__func__  # type: ignore[attr-defined]
        spec = FunctionSpec(function, options)
        registry.add(spec)
        return CachedFunction(function, spec, cache, binding=binding)

    return decorate
