"""Blocking calls of what is asynchronous, through the background event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from langcache_cli.caching._sync.handover import Handover, refuse_in_event_loop

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Asynchronous(Protocol[P, T_co]):
    """The part of `CachedFunction` that `SyncCalls` uses."""

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
        self._refuse_in_event_loop("")
        return Handover().result_of(partial(self._function, *args, **kwargs))

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


def wait_for(work: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``work`` on the background loop, and wait for its end.

    Raises:
        RuntimeError: An event loop runs on this thread.
        Exception: Whatever ``work`` has raised.
    """
    name = work.__name__
    refuse_in_event_loop(f"{name}() of the synchronous interface", f"'await' and the asynchronous {name}()")
    return Handover().result_of(partial(work, *args, **kwargs))
