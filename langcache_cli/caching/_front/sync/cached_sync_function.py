"""A cached function that is no coroutine function: for threads without an event loop."""

from __future__ import annotations

import functools
from asyncio import _get_running_loop
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from langcache_cli.caching._front.functions.binding import Binding, EqualIfBoundAlike
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.function_cache import FunctionCache
from langcache_cli.caching._front.sync.blocking import blocking_call
from langcache_cli.caching._front.writes.where import Where
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._functions.warmer import BatchLoader, CallBatches
from langcache_cli.caching._sync.handover import Handover, refuse_in_event_loop, run_in_caller

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")


class CachedSyncFunction(EqualIfBoundAlike, Generic[P, T]):
    """What `cached` makes of a plain ``def`` function or method.

    It has the entries, the guarantees and the methods of a `CachedFunction`; those that ask Redis block the
    calling thread. The cache runs on a background event loop of the process, the function in the calling
    thread: it may use the thread's database connection, and what it sets in context variables stays set.

    As with a function that takes a session, no load runs in the background. When ``stale_ttl`` or
    ``early_refresh`` want a new value, one call of the fleet waits for it; all others get the old one.
    """

    def __init__(
        self,
        function: Callable[P, T],
        spec: FunctionSpec,
        cache: Callable[[], FunctionCache],
        *,
        binding: Binding = Binding.INSTANCE,
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._on_loop: CachedFunction[P, T] = CachedFunction(
            _handed_over(function), spec, cache, binding=binding
        )

    @property
    def uncached(self) -> Callable[P, T]:
        """The function itself: what a miss runs."""
        return self._function

    @property
    def spec(self) -> FunctionSpec:
        """How this function is cached."""
        return self._on_loop.spec

    @property
    def cache(self) -> FunctionCache:
        """Where its entries are."""
        return self._on_loop.cache

    @property
    def on_loop(self) -> CachedFunction[P, T]:
        """The same function for code on an event loop; it runs in a thread then."""
        return self._on_loop

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The value, from the cache if it can be.

        Raises:
            RuntimeError: An event loop runs on this thread, which the call would block.
            TypeError: An argument cannot be part of a key.
            Exception: Whatever the function raises; nothing is stored then.
        """
        if _get_running_loop() is not None:
            self._refuse_in_event_loop()
        if not self._on_loop.cache.enabled:
            return self._function(*args, **kwargs)
        return blocking_call(self._on_loop, args, kwargs, runs_here=True)

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function now and store its value, even if an entry is fresh; see `CachedFunction.refresh`.

        Raises:
            RuntimeError: An event loop runs on this thread.
            CacheUnavailableError: Redis did not confirm; the old entry may still be there.
            Exception: Whatever the function raises; the old entry stays.
        """
        self._refuse_in_event_loop()
        if not self._on_loop.cache.enabled:
            return self._function(*args, **kwargs)
        work = functools.partial(self._on_loop.refresh, *args, **kwargs)
        return Handover().result_of(work, may_repeat=True)

    @overload
    def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    @overload
    def invalidate(self, /, **kwargs: Any) -> bool: ...
    def invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        """Remove the entry of these arguments; see `CachedFunction.invalidate`.

        Returns:
            True if there was anything to remove.

        Raises:
            RuntimeError: An event loop runs on this thread.
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
            TypeError: An argument that the key needs is missing or unknown.
        """
        self._refuse_in_event_loop()
        if not self._on_loop.cache.enabled:
            return False
        work = functools.partial(self._on_loop.invalidate, *args, **kwargs)
        return Handover().result_of(work, may_repeat=True)

    @overload
    def key_for(self, /, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    def key_for(self, /, **kwargs: Any) -> str: ...
    def key_for(self, /, *args: Any, **kwargs: Any) -> str:
        """The Redis key of these arguments; see `CachedFunction.key_for`.

        Raises:
            TypeError: An argument that the key needs is missing or unknown.
        """
        return self._on_loop.key_for(*args, **kwargs)

    def where(self, /, **values: object) -> Where:
        """Say where `invalidates` finds parameters of the key; see `CachedFunction.where`."""
        return self._on_loop.where(**values)

    def all_keys(self, /, **kwargs: Any) -> list[str]:
        """The Redis keys that `invalidate` removes for these arguments."""
        return self._on_loop.all_keys(**kwargs)

    def address(self, /, **kwargs: Any) -> EntryKeys:
        """The Redis keys of the entry of these arguments, and of its tags."""
        return self._on_loop.address(**kwargs)

    def warmer(self, calls: CallBatches, *, load: BatchLoader | None = None) -> CallBatches:
        """Say what `langcache warm --app` is to load ahead of its readers; see `CachedFunction.warmer`.

        Without ``load`` the function runs in threads of the command's pool.
        """
        return self._on_loop.warmer(calls, load=load)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> CachedSyncFunction[P, T]: ...
    @overload
    def __get__(
        self: CachedSyncFunction[Concatenate[S, Q], T], instance: S, owner: type[Any]
    ) -> CachedSyncFunction[Q, T]: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> CachedSyncFunction[Any, T]:
        """Bind to an instance, as a method is."""
        bind: Callable[..., CachedFunction[Any, T]] = self._on_loop.__get__
        on_loop = bind(instance, owner)
        if on_loop is self._on_loop:
            return self
        receiver = vars(on_loop)["__self__"]
        function = self._function.__get__(receiver, type(receiver))
        bound: CachedSyncFunction[Any, T] = object.__new__(CachedSyncFunction)
        vars(bound).update(
            vars(self),
            _function=function,
            _on_loop=on_loop,
            __wrapped__=function,
            __func__=self,
            __self__=receiver,
        )
        return bound

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._on_loop.__set_name__(owner, name)

    def __repr__(self) -> str:
        return f"<cached {self.spec.name}>"

    def _refuse_in_event_loop(self) -> None:
        name = self.spec.keys.function_name
        refuse_in_event_loop(f"{name}(), a synchronous function,", f"'await asyncio.to_thread({name}, ...)'")


def _handed_over(function: Callable[P, T]) -> Callable[P, Any]:
    """``function`` as a coroutine function for the event loop."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await run_in_caller(function, args, kwargs)

    return run
