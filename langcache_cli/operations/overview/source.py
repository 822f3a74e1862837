"""Where overviews come from; one collection at a time, however many pages are open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from langcache_cli.operations.overview.document import Overview

AT_MOST_EVERY_SECONDS = 2.0
"""A collection that began less than this ago is answered again."""


class OverviewSource(Protocol):
    """Collects the overview."""

    async def collect(self, window: str) -> Overview:
        """The overview of a window such as ``1h``, one of those that the document lists.

        Never raises for want of Redis: the document says so.
        """
        ...

    def forget(self) -> None:
        """Something was removed: keep nothing of what was seen before."""
        ...


class SharedOverview:
    """Answers every caller of a window with one collection, at most every `AT_MOST_EVERY_SECONDS`.

    A caller that goes away does not end a collection that others wait for. Used on one event loop.
    """

    def __init__(self, source: OverviewSource, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._latest: dict[str, tuple[float, asyncio.Task[Overview]]] = {}

    async def collect(self, window: str) -> Overview:
        """See `OverviewSource`; the document may be 2 s old."""
        begun, task = self._latest.get(window, (0.0, None))
        is_old = self._clock() - begun >= AT_MOST_EVERY_SECONDS
        loop = asyncio.get_running_loop()
        if task is None or (task.done() and (is_old or _is_useless(task))) or task.get_loop() is not loop:
            task = loop.create_task(self._source.collect(window))
            self._latest[window] = (self._clock(), task)
        return await asyncio.shield(task)

    def knows_type(self, name: str) -> bool:
        """True if a type, or a prefix that belongs to none, was in one of the latest overviews."""
        documents = [task.result() for _, task in self._latest.values() if _is_useful(task)]
        return any(name in document.get("types", {}) for document in documents)

    def forget(self) -> None:
        """Collect anew when asked next: something was changed."""
        self._source.forget()
        self._latest = {window: kept for window, kept in self._latest.items() if not kept[1].done()}


def _is_useful(task: asyncio.Task[Overview]) -> bool:
    return task.done() and not _is_useless(task)


def _is_useless(task: asyncio.Task[Overview]) -> bool:
    return task.cancelled() or task.exception() is not None
