"""The reads of one worker: calls of the cached functions, refreshes, warms, and calls that are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching.tooling import warm
from tests.history.journal import now
from tests.history.subjects import ITEMS, Function, subjects
from tests.history.work import Work

REFRESHES = 0.03
WARMS = 0.003


class Reader:
    """Reads, and writes down what it was given."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def run(self) -> None:
        """Go on reading."""
        while True:
            await self._read(*self._work.chance.choice(subjects()))
            await self._work.pause()

    async def read_all(self) -> None:
        """Read everything once, at the same time."""
        await asyncio.gather(*[self._read(name, item) for name, item in subjects()])

    async def _read(self, name: str, item: int) -> None:
        function = self._work.functions[name]
        throw = self._work.chance.random()
        self._work.watch.call_begins()
        try:
            if throw < WARMS:
                await self._warm(function)
            else:
                call = self._call(function, item, refresh=throw < REFRESHES)
                await self._work.perhaps_cancelled(call)
        except CacheUnavailableError:
            self._work.journal.exception((function.name, item))  # of a refresh or a warm, which say so
        except Exception as error:  # noqa: BLE001 - no call may raise: it is written down
            self._work.journal.failed((function.name, item), error)

    async def _call(self, function: Function, item: int, *, refresh: bool) -> bool:
        subject = function.name, item
        began = now()
        with self._work.watch.claiming([subject], "refresh") if refresh else nullcontext():
            value = await self._value(function.call.refresh if refresh else function.call, function, item)
        try:
            name, number, version = function.unpack(value)
        except (TypeError, KeyError, ValueError):
            self._work.journal.mixed(subject, value)
            return False
        if (name, number) != subject:
            self._work.journal.mixed(subject, value)
        self._work.journal.read(subject, version, began)
        return True

    async def _value(self, call: Callable[..., Awaitable[Any]], function: Function, item: int) -> Any:
        if function.name != "video":
            return await call(item)
        async with AsyncSession(self._work.engine) as session:
            return await call(item, session)

    async def _warm(self, function: Function) -> None:
        async def load(calls: Sequence[Mapping[str, int]]) -> list[object]:
            async with AsyncSession(self._work.engine) as session:
                extra = (session,) if function.name == "video" else ()
                return [await function.call.uncached(call["item"], *extra) for call in calls]

        calls = [{"item": item} for item in range(ITEMS)]
        with self._work.watch.claiming([(function.name, item) for item in range(ITEMS)], "warm"):
            await warm(
                self._work.cache, function.call, calls, load, missing_only=self._work.chance.random() < 0.5
            )
