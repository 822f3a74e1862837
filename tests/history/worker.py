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
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import Cache, CacheEvent, CacheSettings, CacheUnavailableError
from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching.tooling import warm
from tests.history.bare import bare_delete
from tests.history.changes import Change
from tests.history.defects import break_cache
from tests.history.detours import detoured
from tests.history.journal import Journal, now
from tests.history.options import LEASE_SECONDS, LOAD_TIMEOUT_SECONDS, Options
from tests.history.records import Subject
from tests.history.subjects import COUNTERS, ITEMS, Function, functions, load_seconds, names, subjects
from tests.history.watch import Watch

READERS = 12
IDLE_READERS = 2
LONGEST_PAUSE_SECONDS = 0.04
LONGEST_IDLE_SECONDS = 6.0
FLUSH_SECONDS = 0.1
REFRESHES = 0.03
WARMS = 0.003
ROLLBACKS = 0.1
OF_ALL_ITEMS = 0.05
CANCELLATIONS = 0.03
UNAVAILABLE = frozenset({"bypassed", "unstored"})


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
        self.undelivered: list[tuple[Subject, int, str]] = []
        self.cache.events.subscribe(self._note)

    async def run(self) -> None:
        """Work until the input ends."""
        asyncio.get_running_loop().set_exception_handler(_complain)
        runtime = self.cache.runtime()
        break_cache(runtime, self.options.defect)
        self.watch.follow(runtime.server, runtime.bulk_server)
        self.watch.follow_outbox(runtime.outbox, names(self.functions))
        readers = IDLE_READERS if self.options.idle else READERS
        tasks = [
            *(asyncio.create_task(self._read()) for _ in range(readers)),
            *(asyncio.create_task(self._write()) for _ in range(self.options.writers)),
            asyncio.create_task(self._keep_books()),
            asyncio.create_task(self.watch.beat()),
        ]
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
        if event.key in self.subjects:
            self.watch.note(event, self.subjects[event.key])
            if event.name in UNAVAILABLE:
                self.journal.exception(self.subjects[event.key])

    async def _load(self) -> None:
        seconds = load_seconds(self.chance, lease_seconds=LEASE_SECONDS, load_timeout=LOAD_TIMEOUT_SECONDS)
        await asyncio.sleep(seconds)  # as long as a load of a database may take

    async def _pause(self) -> None:
        longest = LONGEST_IDLE_SECONDS if self.options.idle else LONGEST_PAUSE_SECONDS
        await asyncio.sleep(longest * self.chance.random() ** 2)  # callers come at random moments

    async def _keep_books(self) -> None:
        while True:
            if self.undelivered and not self.cache.pending_invalidations:
                for subject, version, way in self.undelivered:
                    self.journal.acknowledged(subject, version, f"{way}, later")
                self.undelivered.clear()
            self.watch.settle()
            self.journal.flush()
            await asyncio.sleep(FLUSH_SECONDS)  # a journal is written in portions

    # -- reading --

    async def _read(self) -> None:
        while True:
            function = self.functions[self.chance.choice(list(self.functions))]
            item = self.chance.randrange(ITEMS)
            throw = self.chance.random()
            self.watch.call_begins()
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
        subject = function.name, item
        began = now()
        with self.watch.claiming([subject], "refresh") if refresh else nullcontext():
            value = await self._value(function.call.refresh if refresh else function.call, function, item)
        try:
            name, number, version = function.unpack(value)
        except (TypeError, KeyError, ValueError):
            self.journal.mixed(subject, value)
            return False
        if (name, number) != subject:
            self.journal.mixed(subject, value)
        self.journal.read(subject, version, began)
        return True

    async def _value(self, call: Callable[..., Awaitable[Any]], function: Function, item: int) -> Any:
        if function.name != "video":
            return await call(item)
        async with AsyncSession(self.engine) as session:
            return await call(item, session)

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
        with self.watch.claiming([(function.name, item) for item in range(ITEMS)], "warm"):
            await warm(self.cache, function.call, calls, load, missing_only=self.chance.random() < 0.5)

    # -- changing --

    async def _write(self) -> None:
        while True:
            function = self.functions[self.chance.choice(list(self.functions))]
            # the last items are rarely changed: nothing but an invalidation excuses overlapping runs of them
            item = min(self.chance.randrange(ITEMS) for _ in range(3))
            await self._change(function, item)
            await self._pause()

    async def _change(self, function: Function, item: int) -> None:
        change = self._next_change(function, item)
        subjects = change.subjects(self.functions.values())
        counter = (COUNTERS.c.name == function.name) & (COUNTERS.c.item == item)
        statement = update(COUNTERS).where(counter).values(version=COUNTERS.c.version + 1)
        async with AsyncSession(self.engine) as session:
            version = (await session.execute(statement.returning(COUNTERS.c.version))).scalar_one()
            if change.in_transaction:
                early = self.watch.asks(subjects, change.way)
                self.watch.spawned(lambda: self._after_commit(session, change), early)
            if self.chance.random() < ROLLBACKS:
                await session.rollback()
                return
            number = self.watch.asks(subjects, change.way)
            await session.commit()
        done = await self._perhaps_cancelled(self._invalidate(change, number))
        self._write_down(change, version, done=done)

    def _next_change(self, function: Function, item: int) -> Change:
        """One that concerns all items, or the item in one of the other ways."""
        tag, *shared = function.tags(item) or ("",)
        if self.chance.random() < OF_ALL_ITEMS:
            tag = shared[0] if shared else ""
            return Change("tag" if tag and self.chance.random() < 0.5 else "type", function, item, tag)
        ways = ["key", "pattern", "after commit", "bare del"]
        if tag:
            ways += ["tag", "bare del of a tag", "after commit of a tag"]
        return Change(self.chance.choice(ways), function, item, tag)

    def _write_down(self, change: Change, version: int, *, done: bool) -> None:
        """A change that was invalidated; one whose invalidation was cancelled after it had begun, too."""
        kept = change.way == "key" and change.key in self.cache._context.outbox.waiting()
        if done or kept:
            if self.cache.pending_invalidations:
                self.journal.promised(change.subject, version, change.way)
                self.undelivered.append((change.subject, version, change.way))
            else:
                self.journal.acknowledged(change.subject, version, change.way)

    def _after_commit(self, session: AsyncSession, change: Change) -> None:
        if change.way == "after commit":
            self.cache.after_commit(session, change.key)
        else:
            self.cache.after_commit(session, tags=[change.tag])

    async def _invalidate(self, change: Change, number: int) -> bool:
        """Returns whether it was done, or promised."""
        if change.way.startswith("bare"):
            return await self._bare_del(change.key if change.way == "bare del" else change.tag_key, number)
        try:
            match change.way:
                case "key":
                    await change.function.call.invalidate(item=change.item)
                case "pattern":
                    await self.cache.invalidate(f"cache:*:{change.item}")
                case "type":
                    await self.cache.invalidate_type(change.function.name)
                case "tag":
                    await self.cache.invalidate_tags(change.tag)
        finally:
            self.watch.took_effect(number)
        return True

    async def _bare_del(self, key: str, number: int) -> bool:
        def delete() -> bool:
            try:
                bare_delete(self.options, key)
            except Exception:  # noqa: BLE001 - Redis is down, or loads its data: nothing was promised
                return False
            return True

        deleting = asyncio.ensure_future(asyncio.to_thread(delete))  # the thread goes on if this is cancelled
        watch = self.watch
        deleting.add_done_callback(
            lambda done: (watch.was_done if done.result() else watch.was_interrupted)(number)
        )
        return await asyncio.shield(deleting)


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
