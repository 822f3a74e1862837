"""What the tasks of one worker share: a cache, a database, a journal and dice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine

from langcache_cli.caching import Cache, CacheEvent, CacheSettings
from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._wire.externals import Externals
from tests.history.detours import detoured
from tests.history.journal import Journal
from tests.history.options import LEASE_SECONDS, LOAD_TIMEOUT_SECONDS, Options
from tests.history.records import Subject
from tests.history.subjects import functions, load_seconds, subjects
from tests.history.watch import Watch

LONGEST_PAUSE_SECONDS = 0.04
CANCELLATIONS = 0.03
UNAVAILABLE = frozenset({"bypassed", "unstored"})


class Work:
    """One worker's, for all of its tasks."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.chance = random.Random(options.seed)
        self.journal = Journal(Path(options.journal))
        self.clock_ms = 0
        self.cache = Cache(
            CacheSettings.load(
                env_file=None,
                redis_url=options.redis_url,
                lease_seconds=LEASE_SECONDS,
                load_timeout=LOAD_TIMEOUT_SECONDS,
            ),
            externals=Externals(
                now_ms=lambda: now_ms() + self.clock_ms, connect=detoured(dict(options.detours))
            ),
        )
        self.engine = create_async_engine(options.database_url.replace("://", "+asyncpg://"), pool_size=10)
        self.watch = Watch(self.cache, self.journal)
        self.functions = functions(self.cache, self.engine, self._load, running=self.watch.running)
        self.subjects: dict[str, Subject] = {
            self.functions[name].call.key_for(item=item): (name, item) for name, item in subjects()
        }
        self.cache.events.subscribe(self._note)

    async def pause(self) -> None:
        """Wait until the next caller comes, at a random moment."""
        # callers come at random moments
        await asyncio.sleep(LONGEST_PAUSE_SECONDS * self.chance.random() ** 2)

    async def perhaps_cancelled(self, work: Coroutine[Any, Any, bool]) -> bool:
        """What it returns, or False if it was cancelled at some moment."""
        if self.chance.random() >= CANCELLATIONS:
            return await work
        task = asyncio.create_task(work)
        try:
            await asyncio.wait([task], timeout=LONGEST_PAUSE_SECONDS * self.chance.random() ** 3)
        finally:  # at the end of the worker this one is cancelled itself
            task.cancel()
            await asyncio.wait([task])
        return False if task.cancelled() else task.result()

    async def close(self) -> None:
        """Close everything; the journal at last."""
        await self.cache.aclose()
        await self.engine.dispose()
        self.journal.close()

    def _note(self, event: CacheEvent) -> None:
        if event.name == "near":
            self.journal.near(self.subjects[event.key])
        if event.key in self.subjects:
            self.watch.note(event, self.subjects[event.key])
            if event.name in UNAVAILABLE:
                self.journal.exception(self.subjects[event.key])

    async def _load(self) -> None:
        seconds = load_seconds(self.chance, lease_seconds=LEASE_SECONDS, load_timeout=LOAD_TIMEOUT_SECONDS)
        await asyncio.sleep(seconds)  # as long as a load of a database may take
