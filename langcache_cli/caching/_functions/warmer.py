"""What `langcache warm --app` loads ahead of readers: calls of a function, and how to load many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

F = TypeVar("F")

Arguments = Mapping[str, Any]
"""The arguments of one call, by name."""

CallBatches = Callable[[], AsyncIterator[Sequence[Arguments]]]
"""An async generator function that yields batches of calls."""

BatchLoader = Callable[[Sequence[Arguments]], Awaitable[Sequence[Any]]]
"""Loads the values of some calls, in the same order."""


@dataclass(frozen=True)
class Warmer(Generic[F]):
    """How to warm one function.

    Attributes:
        function: The cached function.
        calls: Yields batches of the arguments of calls.
        load: Loads the values of some of these calls.
    """

    function: F
    calls: CallBatches
    load: BatchLoader


def one_by_one(function: Callable[..., Awaitable[Any]]) -> BatchLoader:
    """Load each call with the function itself, one after the other: they may share a database session."""

    async def load(calls: Sequence[Arguments]) -> list[Any]:
        return [await function(**call) for call in calls]

    return load
