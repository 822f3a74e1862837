"""Blocking calls of what is asynchronous, through the background event loop."""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from langcache_cli.caching._front.functions.function_cache import FunctionCache
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._loading.near_reads import SLOW_PATH
from langcache_cli.caching._sync.handover import Handover, refuse_in_event_loop
from langcache_cli.caching._sync.thread_reads import Begun

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Asynchronous(Protocol[P, T_co]):
    """The part of `CachedFunction` that blocking calls use."""

    instance_in_key: tuple[Any, ...]
    _may_lack_instance: bool

    @property
    def uncached(self) -> Callable[P, Coroutine[Any, Any, T_co]]:
        """The function itself."""
        ...

    @property
    def spec(self) -> FunctionSpec:
        """How it is cached."""
        ...

    @property
    def cache(self) -> FunctionCache:
        """Where its entries are."""
        ...

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """The value."""
        ...

    async def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Load now and store."""
        ...

    async def invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        """Remove one entry."""
        ...


class SyncCalls(Generic[P, T]):
    """An asynchronous cached function for threads without an event loop: ``get_word.sync(7)``.

    The function runs on the background event loop of the process. It must not use what belongs to another
    loop, such as a database pool of the application's main loop.
    """

    def __init__(self, function: Asynchronous[P, T], name: str) -> None:
        """Call ``function``, named ``name`` in messages."""
        self._function = function
        self._name = name

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The value, from the cache if it can be.

        Raises:
            RuntimeError: An event loop runs on this thread, which the call would block.
            Exception: As for the asynchronous call.
        """
        if _get_running_loop() is not None:
            self._refuse_in_event_loop("")
        return blocking_call(self._function, args, kwargs)

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function now and store its value; see `CachedFunction.refresh`.

        Raises:
            RuntimeError: An event loop runs on this thread.
            Exception: As for the asynchronous call.
        """
        self._refuse_in_event_loop(".refresh")
        return Handover().result_of(partial(self._function.refresh, *args, **kwargs))

    @overload
    def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    @overload
    def invalidate(self, /, **kwargs: Any) -> bool: ...
    def invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        """Remove the entry of these arguments; see `CachedFunction.invalidate`.

        Raises:
            RuntimeError: An event loop runs on this thread.
            Exception: As for the asynchronous call.
        """
        self._refuse_in_event_loop(".invalidate")
        return Handover().result_of(partial(self._function.invalidate, *args, **kwargs))

    def _refuse_in_event_loop(self, method: str) -> None:
        name = self._name
        refuse_in_event_loop(f"{name}.sync{method}()", f"'await {name}{method}(...)'")


def blocking_call(
    function: Asynchronous[..., T],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    runs_here: bool = False,
) -> T:
    """The value of a call: found by this thread if it is plainly a hit, else by the background loop.

    Args:
        function: What is called.
        args: Its arguments.
        kwargs: Its keyword arguments.
        runs_here: True if the function itself runs in this thread, so that it is known whether it has.
    """
    cache = function.cache
    work: Callable[[], Coroutine[Any, Any, T]] = partial(function, *args, **kwargs)
    again, handover = work, None
    reads = cache.thread_reads(function.spec) if cache.direct else None
    if reads is not None and not function._may_lack_instance:  # noqa: SLF001 - on the path of every hit
        instance = function.instance_in_key
        value = reads.value((*instance, *args) if instance else args, kwargs)
        if type(value) is Begun:
            handover = Handover()
            if value.reader.runtime.loop is handover.loop:  # else that has ended meanwhile
                work = partial(value.answer, function.uncached, args, kwargs)
        elif value is not SLOW_PATH:
            return cast("T", value)
    return (handover or Handover()).result_of(work, again, may_repeat=runs_here)


def wait_for(work: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``work`` on the background loop, and wait for its end.

    Raises:
        RuntimeError: An event loop runs on this thread.
        Exception: Whatever ``work`` has raised.
    """
    name = work.__name__
    refuse_in_event_loop(f"the synchronous form of {name}()", f"'await {name}(...)'")
    return Handover().result_of(partial(work, *args, **kwargs))
