"""A cached function: called like the one it wraps, with the means to invalidate and refresh its entries."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from langcache_cli.caching._front.function_cache import FunctionCache
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._functions.warmer import BatchLoader, CallBatches, Warmer, one_by_one
from langcache_cli.caching._loading.reader import SLOW_PATH

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")


class CachedFunction(Generic[P, T]):
    """What `cached` makes of an ``async def`` function or method.

    Cancelling a call is safe at any moment. While Redis cannot be used, calls run the function.
    """

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        spec: FunctionSpec,
        cache: Callable[[], FunctionCache],
        *,
        instance: object | None = None,
    ) -> None:
        self._function = function
        self._spec = spec
        self._cache = cache
        self._instance = instance
        self._is_unbound = spec.keys.takes_instance and instance is None
        self._owner: type[Any] | None = None
        if instance is None:  # a bound one is made at every access to a method, and must be cheap
            functools.update_wrapper(self, function)

    @property
    def uncached(self) -> Callable[P, Coroutine[Any, Any, T]]:
        """The function itself: what a miss runs."""
        return self._function

    @property
    def spec(self) -> FunctionSpec:
        """How this function is cached."""
        return self._spec

    @property
    def cache(self) -> FunctionCache:
        """Where its entries are."""
        return self._cache()

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The value, from the cache if it can be.

        Raises:
            TypeError: An argument cannot be part of a key.
            Exception: Whatever the function raises; nothing is stored then.
        """
        cache = self._cache()
        if not cache.enabled:
            return await self._function(*args, **kwargs)
        key_args = args[1:] if self._is_unbound else args
        reader = cache.reader(self._spec)
        if reader.near is not None:
            found = reader.near_answer(reader.near, key_args, kwargs)
            if found is not SLOW_PATH:
                return cast("T", found)
        value: T = await reader.answer(self._function, args, kwargs, key_args=key_args)
        return value

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function now and store its value, even if an entry is fresh.

        Until then the old entry is served. Loads that began earlier are not stored any more.

        Raises:
            CacheUnavailableError: Redis did not confirm; the old entry may still be there.
            Exception: Whatever the function raises; the old entry stays.
        """
        cache = self._cache()
        if not cache.enabled:
            return await self._function(*args, **kwargs)
        key_args = args[1:] if self._is_unbound else args
        address = self._spec.address(cache.settings.namespace, key_args, kwargs)
        origin = functools.partial(self._function, *args, **kwargs)
        value: T = await cache.reader(self._spec).call(address, origin).refresh()
        return value

    def warmer(self, calls: CallBatches, *, load: BatchLoader | None = None) -> CallBatches:
        """Say what `langcache warm --app` is to load ahead of its readers; a decorator.

        ```python
        @get_word.warmer
        async def frequent_words():
            async with sessions() as db:
                for ids in batches:
                    yield [{"word_id": word_id, "db": db} for word_id in ids]
        ```

        Args:
            calls: An async generator function that yields batches of arguments. It yields no values: those
                must be read after the leases were taken, or an invalidation in between would be lost.
            load: Reads the values of a batch at once; without it the function is called for each.
        """
        self._spec.warmer = Warmer(self, calls, load or one_by_one(self._function))
        return calls

    @overload
    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    @overload
    async def invalidate(self, **kwargs: Any) -> bool: ...
    async def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the entry of these arguments, and the right to store any load of it under way.

        Takes the arguments of the function; those that are not part of the key (``self``,
        sessions, ignored ones) may be left out.

        Returns:
            True if there was anything to remove. If Redis does not confirm, this process bypasses the cache
            until it does; other processes may serve the entry until then.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
            TypeError: An argument that the key needs is missing or unknown.
        """
        cache = self._cache()
        return (
            cache.enabled
            and await cache.invalidate_keys([self._address(cache, args, kwargs).key], self._spec) > 0
        )

    @overload
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    def key_for(self, **kwargs: Any) -> str: ...
    def key_for(self, *args: Any, **kwargs: Any) -> str:
        """The Redis key of these arguments; takes the same ones as `invalidate`."""
        return self._address(self._cache(), args, kwargs).key

    def address(self, **kwargs: Any) -> EntryKeys:
        """The Redis keys of the entry of these arguments, and of its tags."""
        return self._address(self._cache(), (), kwargs)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> CachedFunction[P, T]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], T], instance: S, owner: type[Any]
    ) -> CachedFunction[Q, T]: ...
    def __get__(self, instance: Any, owner: type[Any]) -> CachedFunction[Any, T]:
        """Bind to an instance, as a method is."""
        if instance is None:
            return self
        bound = self._function.__get__(instance, owner)
        return CachedFunction(bound, self._spec, self._cache, instance=instance)

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._owner = owner

    def __repr__(self) -> str:
        return f"<cached {self._spec.name}>"

    def _address(self, cache: FunctionCache, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EntryKeys:
        """Where the value is stored; a method named through its class is given the instance first."""
        if self._owner is not None and args and isinstance(args[0], self._owner):
            args = args[1:]
        return self._spec.address(cache.settings.namespace, args, kwargs)
