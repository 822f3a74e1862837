"""The writes of one worker: changes in the database, each followed by an invalidation."""

from __future__ import annotations

import asyncio

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from tests.history.bare import bare_delete
from tests.history.changes import Change
from tests.history.records import Subject
from tests.history.subjects import COUNTERS, ITEMS, Function
from tests.history.work import Work

ROLLBACKS = 0.1
OF_ALL_ITEMS = 0.05


class Writer:
    """Changes, invalidates, and writes down what was acknowledged or promised."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._undelivered: list[tuple[Subject, int, str]] = []

    async def run(self) -> None:
        """Go on changing."""
        while True:
            function = self._work.functions[self._work.chance.choice(list(self._work.functions))]
            # the last items are rarely changed: nothing but an invalidation excuses overlapping runs of them
            item = min(self._work.chance.randrange(ITEMS) for _ in range(3))
            await self._change(function, item)
            await self._work.pause()

    def settle(self) -> None:
        """To be called now and then: write down that the outbox was delivered."""
        if self._undelivered and not self._work.cache.pending_invalidations:
            for subject, version, way in self._undelivered:
                self._work.journal.acknowledged(subject, version, f"{way}, later")
            self._undelivered.clear()

    async def _change(self, function: Function, item: int) -> None:
        change = self._next_change(function, item)
        subjects = change.subjects(self._work.functions.values())
        counter = (COUNTERS.c.name == function.name) & (COUNTERS.c.item == item)
        statement = update(COUNTERS).where(counter).values(version=COUNTERS.c.version + 1)
        async with AsyncSession(self._work.engine) as session:
            version = (await session.execute(statement.returning(COUNTERS.c.version))).scalar_one()
            if change.in_transaction:
                early = self._work.watch.asks(subjects, change.way)
                self._work.watch.spawned(lambda: self._after_commit(session, change), early)
            if self._work.chance.random() < ROLLBACKS:
                await session.rollback()
                return
            number = self._work.watch.asks(subjects, change.way)
            await session.commit()
        done = await self._work.perhaps_cancelled(self._invalidate(change, number))
        self._write_down(change, version, done=done)

    def _next_change(self, function: Function, item: int) -> Change:
        """One that concerns all items, or the item in one of the other ways."""
        tag, *shared = function.tags(item) or ("",)
        if self._work.chance.random() < OF_ALL_ITEMS:
            tag = shared[0] if shared else ""
            return Change("tag" if tag and self._work.chance.random() < 0.5 else "type", function, item, tag)
        ways = ["key", "pattern", "after commit", "bare del"]
        if tag:
            ways += ["tag", "bare del of a tag", "after commit of a tag"]
        return Change(self._work.chance.choice(ways), function, item, tag)

    def _write_down(self, change: Change, version: int, *, done: bool) -> None:
        """A change that was invalidated; one whose invalidation was cancelled after it had begun, too."""
        kept = change.way == "key" and change.key in self._work.cache._context.outbox.waiting()
        if done or kept:
            # Redis itself has confirmed a bare DEL, of which the outbox knows nothing
            if self._work.cache.pending_invalidations and not change.way.startswith("bare"):
                self._work.journal.promised(change.subject, version, change.way)
                self._undelivered.append((change.subject, version, change.way))
            else:
                self._work.journal.acknowledged(change.subject, version, change.way)

    def _after_commit(self, session: AsyncSession, change: Change) -> None:
        if change.way == "after commit":
            self._work.cache.after_commit(session, change.key)
        else:
            self._work.cache.after_commit(session, tags=[change.tag])

    async def _invalidate(self, change: Change, number: int) -> bool:
        """Returns whether it was done, or promised."""
        if change.way.startswith("bare"):
            return await self._bare_del(change.key if change.way == "bare del" else change.tag_key, number)
        try:
            match change.way:
                case "key":
                    await change.function.call.invalidate(item=change.item)
                case "pattern":
                    await self._work.cache.invalidate(f"cache:*:{change.item}")
                case "type":
                    await self._work.cache.invalidate_type(change.function.name)
                case "tag":
                    await self._work.cache.invalidate_tags(change.tag)
        finally:
            self._work.watch.took_effect(number)
        return True

    async def _bare_del(self, key: str, number: int) -> bool:
        def delete() -> bool:
            try:
                bare_delete(self._work.options, key)
            except Exception:  # noqa: BLE001 - Redis is down, or loads its data: nothing was promised
                return False
            return True

        deleting = asyncio.ensure_future(asyncio.to_thread(delete))  # the thread goes on if this is cancelled
        watch = self._work.watch
        deleting.add_done_callback(
            lambda done: (watch.was_done if done.result() else watch.was_interrupted)(number)
        )
        return await asyncio.shield(deleting)
