"""What there is to warm: for a cached function, the calls that are worth it and how to load many of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langcache_cli.caching._front.cached_function import CachedFunction

Arguments = Mapping[str, Any]
Calls = Callable[[], AsyncIterator[Sequence[Arguments]]]
Load = Callable[[Sequence[Arguments]], Awaitable[Sequence[Any]]]


@dataclass(frozen=True)
class Warmer:
    """How to warm one function.

    Attributes:
        function: The cached function.
        calls: An async generator function: batches of the arguments of calls.
        load: Given some of these calls, their values in the same order.
    """

    function: CachedFunction[Any, Any]
    calls: Calls
    load: Load


def one_by_one(function: CachedFunction[Any, Any]) -> Load:
    """Load each call with the function itself, one after the other: they may share a database session."""

    async def load(calls: Sequence[Arguments]) -> list[Any]:
        return [await function.uncached(**call) for call in calls]

    return load
