"""The function of a miss runs in the task of its caller, and has ended when that caller leaves."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)

from langcache_cli.caching import cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, waiting

last_read: ContextVar[int] = ContextVar("last_read", default=0)


async def test_a_miss_runs_in_the_task_and_with_the_context_variables_of_its_caller(cache):
    tasks = []

    @cache.cached(key_prefix="vocabulary")
    async def read(item: int) -> int:
        tasks.append(asyncio.current_task())
        last_read.set(item)
        return item

    @cached_many(read, each="items")
    async def read_many(items: Sequence[int]) -> list[int]:
        return [await read.uncached(item) for item in items]

    for item, call in [(1, read(1)), (2, read.refresh(2)), (3, read_many([3]))]:
        await call
        assert last_read.get() == item
    assert tasks == [asyncio.current_task()] * 3


async def test_a_session_of_the_current_task_returns_its_connection(cache, tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/words.db")
    sessions = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)

    @cache.cached(key_prefix="vocabulary")
    async def read(item: int) -> int:
        return (await sessions.execute(text(f"SELECT {item}"))).scalar_one()

    async def request(item: int) -> int:
        try:
            return await read(item)
        finally:
            await sessions.remove()

    try:
        assert await asyncio.gather(*map(request, range(5))) == list(range(5))
        assert engine.pool.checkedout() == 0
        assert sessions.registry.registry == {}
    finally:
        await engine.dispose()


class Requests:
    """Requests with a session each, which the function uses until its end."""

    def __init__(self, cache):
        self.gate, self.log = Gate(), []

        async def cleanup() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.cleanup = cleanup

        @cache.cached(key_prefix="vocabulary")
        async def read(item: int, db: AsyncSession) -> int:
            try:
                await self.gate()
            finally:
                try:
                    with anyio.CancelScope(shield=True):
                        await self.cleanup()
                finally:
                    self.log.append("the function has ended")
            return item

        @cached_many(read, each="items")
        async def read_many(items: Sequence[int], db: AsyncSession) -> list[int]:
            return [await read.uncached(item, db) for item in items]

        self.calls = {
            "call": lambda: read(1, None),
            "refresh": lambda: read.refresh(1, None),
            "many": lambda: read_many([1], None),
        }

    async def request(self, how: str) -> None:
        try:
            await self.calls[how]()
        finally:
            self.log.append("the session is closed")


@pytest.mark.parametrize("how", ["call", "refresh", "many"])
async def test_a_request_cancelled_through_a_scope_leaves_after_its_load(cache, how):
    requests = Requests(cache)
    async with anyio.create_task_group() as group:
        group.start_soon(requests.request, how)
        await requests.gate.reached()
        group.cancel_scope.cancel()
    assert requests.log == ["the function has ended", "the session is closed"]


@pytest.mark.parametrize("how", ["call", "refresh", "many"])
async def test_a_request_cancelled_twice_leaves_after_its_load(cache, how):
    requests = Requests(cache)
    task = asyncio.create_task(requests.request(how))
    await requests.gate.reached()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    assert requests.log == ["the function has ended", "the session is closed"]


async def test_the_last_of_those_who_wait_leaves_after_the_load_however_often_it_is_cancelled(cache):
    gate, cleanup, log = Gate(), asyncio.Event(), []

    @cache.cached(key_prefix="vocabulary")
    async def careful(item: int) -> int:
        try:
            await gate()
        finally:
            while not cleanup.is_set():
                try:
                    await cleanup.wait()
                except asyncio.CancelledError:
                    log.append("cancelled again")
            log.append("ended")
        return item

    cleanup.set()
    first, second = (asyncio.create_task(careful(1)) for _ in range(2))
    await aeventually(lambda: waiting(cache) == 2, every=0.001)
    await gate.reached()
    first.cancel()
    await asyncio.wait([first])
    await gate.reached(2)  # for the second, in a task of its own
    cleanup.clear()
    log.clear()
    for _ in range(3):
        second.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not second.done()
    cleanup.set()
    await asyncio.wait([second])
    assert log[-1] == "ended"
    assert second.cancelled()


async def test_a_load_whose_caller_was_cancelled_is_run_once_more_and_stored(cache):
    database = Database(cache, held=True)
    first, *others = (asyncio.create_task(database.read(1)) for _ in range(5))
    await aeventually(lambda: waiting(cache) == 5, every=0.001)
    await database.gate.reached()
    first.cancel()
    await database.gate.reached(2)
    assert first.cancelled()
    database.gate.open()
    assert await asyncio.gather(*others) == [[1, 0]] * 4
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 2}
