"""One process of a run: many tasks that read, a few that change and invalidate; all of it is written down.

`python -m tests.history.worker JSON`. It runs until its input ends; a line `clock MS` sets its time of day
off by so many milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import Cache, CacheEvent, CacheSettings, CacheUnavailableError
from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching.tooling import warm
from tests.harness.resp import RespConnection
from tests.history.journal import Journal, Subject, now
from tests.history.subjects import COUNTERS, ITEMS, Function, functions, load_seconds, subjects
from tests.integration.race_worker import UnguardedStore

READERS = 12
WRITERS = 2
LONGEST_PAUSE_SECONDS = 0.04
FLUSH_SECONDS = 0.1
LEASE_SECONDS = 0.5
LOAD_TIMEOUT_SECONDS = 2.0
REFRESHES = 0.03
WARMS = 0.003
ROLLBACKS = 0.1
CANCELLATIONS = 0.03
UNAVAILABLE = frozenset({"bypassed", "unstored"})


@dataclass(frozen=True)
class Options:
    """What a worker is told.

    Attributes:
        redis_url: Where it reaches Redis, perhaps through a proxy.
        bare_port: Redis itself, for what a bare redis-cli would do.
        database_url: PostgreSQL.
        journal: The file to write to.
        seed: For its dice.
        writers: How many tasks change and invalidate.
        unguarded: Store whatever was loaded, without looking whether it was invalidated meanwhile.
        deaf: Do not listen when Redis says what has changed.
    """

    redis_url: str
    bare_port: int
    database_url: str
    journal: str
    seed: int
    writers: int = WRITERS
    unguarded: bool = False
    deaf: bool = False


class Worker:
    """Reads, writes, and writes down."""

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
            externals=Externals(now_ms=lambda: now_ms() + self.clock_ms),
        )
        self.engine = create_async_engine(options.database_url.replace("://", "+asyncpg://"), pool_size=10)
        self.functions = functions(self.cache, self.engine, self._load)
        self.subjects: dict[str, Subject] = {
            self.functions[name].call.key_for(item=item): (name, item) for name, item in subjects()
        }
        self.undelivered: list[tuple[Subject, int, str]] = []
        self.cache.events.subscribe(self._note)

    async def run(self) -> None:
        """Work until the input ends."""
        asyncio.get_running_loop().set_exception_handler(_complain)
        if self.options.unguarded:
            runtime = self.cache.runtime()
            runtime.store = UnguardedStore(runtime.node, lease_seconds=LEASE_SECONDS)
        tasks = [
            *(asyncio.create_task(self._read()) for _ in range(READERS)),
            *(asyncio.create_task(self._write()) for _ in range(self.options.writers)),
            asyncio.create_task(self._keep_books()),
        ]
        if self.options.deaf:
            NearCache._on_push = lambda *_: None
        listening = asyncio.create_task(asyncio.to_thread(self._listen))
        await asyncio.wait([listening, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self.cache.aclose()
        await self.engine.dispose()
        self.journal.close()
        for error in ended:
            if not isinstance(error, asyncio.CancelledError):
                raise error or RuntimeError("a task of the worker has ended")

    def _listen(self) -> None:
        for line in sys.stdin:
            self.clock_ms = int(line.split()[1])

    def _note(self, event: CacheEvent) -> None:
        if event.name == "near":
            self.journal.near(self.subjects[event.key])
        if event.name in UNAVAILABLE and event.key in self.subjects:
            self.journal.exception(self.subjects[event.key])

    async def _load(self) -> None:
        seconds = load_seconds(self.chance, lease_seconds=LEASE_SECONDS, load_timeout=LOAD_TIMEOUT_SECONDS)
        await asyncio.sleep(seconds)

    async def _pause(self) -> None:
        await asyncio.sleep(LONGEST_PAUSE_SECONDS * self.chance.random() ** 2)

    async def _keep_books(self) -> None:
        while True:
            if self.undelivered and not self.cache.pending_invalidations:
                for subject, version, way in self.undelivered:
                    self.journal.acknowledged(subject, version, f"{way}, later")
                self.undelivered.clear()
            self.journal.flush()
            await asyncio.sleep(FLUSH_SECONDS)

    # -- reading --

    async def _read(self) -> None:
        while True:
            function = self.functions[self.chance.choice(list(self.functions))]
            item = self.chance.randrange(ITEMS)
            throw = self.chance.random()
            try:
                if throw < WARMS:
                    await self._warm(function)
                else:
                    call = self._call(function, item, refresh=throw < REFRESHES)
                    await self._perhaps_cancelled(call)
            except CacheUnavailableError:
                self.journal.exception((function.name, item))  # of a refresh or a warm, which say so
            except Exception as error:  # noqa: BLE001 - no call may raise: it is written down
                self.journal.failed((function.name, item), error)
            await self._pause()

    async def _call(self, function: Function, item: int, *, refresh: bool) -> bool:
        subject, call = (function.name, item), function.call.refresh if refresh else function.call
        began = now()
        if function.name == "video":
            async with AsyncSession(self.engine) as session:
                value = await call(item, session)
        else:
            value = await call(item)
        try:
            name, number, version = function.unpack(value)
        except (TypeError, KeyError, ValueError):
            self.journal.mixed(subject, value)
            return False
        if (name, number) != subject:
            self.journal.mixed(subject, value)
        self.journal.read(subject, version, began)
        return True

    async def _perhaps_cancelled(self, work: Coroutine[Any, Any, bool]) -> bool:
        """What it returns, or False if it was cancelled at some moment."""
        if self.chance.random() >= CANCELLATIONS:
            return await work
        task = asyncio.create_task(work)
        await asyncio.wait([task], timeout=LONGEST_PAUSE_SECONDS * self.chance.random() ** 3)
        task.cancel()
        await asyncio.wait([task])
        return False if task.cancelled() else task.result()

    async def _warm(self, function: Function) -> None:
        async def load(calls: Sequence[Mapping[str, int]]) -> list[object]:
            async with AsyncSession(self.engine) as session:
                extra = (session,) if function.name == "video" else ()
                return [await function.call.uncached(call["item"], *extra) for call in calls]

        calls = [{"item": item} for item in range(ITEMS)]
        await warm(self.cache, function.call, calls, load, missing_only=self.chance.random() < 0.5)

    # -- changing --

    async def _write(self) -> None:
        while True:
            function = self.functions[self.chance.choice(list(self.functions))]
            await self._change(function, self.chance.randrange(ITEMS))
            await self._pause()

    async def _change(self, function: Function, item: int) -> None:
        ways = ["key", "pattern", "type", "after commit", "bare del"]
        if function.tags(item):
            ways += ["tag", "bare del of a tag"]
        way = self.chance.choice(ways)
        counter = (COUNTERS.c.name == function.name) & (COUNTERS.c.item == item)
        statement = update(COUNTERS).where(counter).values(version=COUNTERS.c.version + 1)
        async with AsyncSession(self.engine) as session:
            version = (await session.execute(statement.returning(COUNTERS.c.version))).scalar_one()
            if way == "after commit":
                key, tags = function.call.key_for(item=item), function.tags(item)
                by_tag = bool(tags) and self.chance.random() < 0.5
                self.cache.after_commit(session, *(() if by_tag else (key,)), tags=tags if by_tag else ())
            if self.chance.random() < ROLLBACKS:
                await session.rollback()
                return
            await session.commit()
        subject = function.name, item
        done = await self._perhaps_cancelled(self._invalidate(way, function, item))
        kept = way == "key" and function.call.key_for(item=item) in self.cache._context.outbox.waiting()
        if done or kept:  # one that was cancelled after it had begun is kept as well
            if self.cache.pending_invalidations:
                self.journal.promised(subject, version, way)
                self.undelivered.append((subject, version, way))
            else:
                self.journal.acknowledged(subject, version, way)

    async def _invalidate(self, way: str, function: Function, item: int) -> bool:
        """Returns whether it was done, or promised."""
        key, tags = function.call.key_for(item=item), function.tags(item)
        match way:
            case "key":
                await function.call.invalidate(item=item)
            case "pattern":
                await self.cache.invalidate(f"cache:*:{item}")
            case "type":
                await self.cache.invalidate_type(function.name)
            case "tag":
                await self.cache.invalidate_tags(self.chance.choice(tags))
            case "bare del":
                return await self._bare_del(key)
            case "bare del of a tag":
                return await self._bare_del(f"cache@tag:{self.chance.choice(tags)}")
        return True

    async def _bare_del(self, key: str) -> bool:
        def delete() -> bool:
            try:
                with RespConnection(self.options.bare_port, timeout=1.0) as connection:
                    connection.call("DEL", key)
            except Exception:  # noqa: BLE001 - Redis is down, or loads its data: nothing was promised
                return False
            return True

        return await asyncio.to_thread(delete)


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if "unexpected connection_lost" not in repr(context.get("exception")):
        loop.default_exception_handler(context)
    # else it is asyncpg, cancelled while it connects


def main() -> None:
    """Run, and end at once: a thread may still wait for Redis."""
    asyncio.run(Worker(Options(**json.loads(sys.argv[1]))).run())
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
