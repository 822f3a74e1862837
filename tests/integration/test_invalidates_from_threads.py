"""Writers in a thread: what they invalidate is kept before any event loop is asked to do it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from langcache_cli.caching._sync.background_loop import background_loop
from tests.harness.polling import eventually
from tests.integration.cache_support import cache_at

TIMEOUT = 0.1


class Words:
    def __init__(self, url: str) -> None:
        self.cache = cache_at(url, operation_timeout=TIMEOUT)
        self.stored = "old"

        @self.cache.cached(key_prefix="vocabulary")
        async def get(item: int) -> str:
            return self.stored

        @self.cache.invalidates(get)
        def write(item: int, value: str) -> None:
            self.stored = value

        self.get, self.write = get, write


@pytest.fixture
def shared(redis_url):
    words = Words(redis_url)
    yield words
    words.cache.sync.close()


def in_thread_while_blocked(work):
    """The result of ``work`` in a thread, while the event loop of this thread is blocked."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(30)


@pytest.mark.parametrize("reads", ["in the thread", "on the loop"])
async def test_nobody_reads_the_old_value_while_the_event_loop_is_blocked(shared, reads):
    assert await shared.get(1) == "old"

    def work():
        shared.write(1, "new")
        return shared.get.sync(1) if reads == "in the thread" else "new"

    assert in_thread_while_blocked(work) == "new"
    assert await shared.get(1) == "new"
    await shared.cache.aclose()


async def test_a_commit_in_a_thread_counts_at_once_while_the_event_loop_is_blocked(shared, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/sync.db")
    assert await shared.get(1) == "old"

    def work():
        with Session(engine) as session:
            session.execute(text("CREATE TABLE words (id int)"))
            shared.cache.after_commit(session, shared.get.key_for(1))
            session.commit()
        shared.stored = "new"
        return shared.get.sync(1)

    assert in_thread_while_blocked(work) == "new"
    assert await shared.get(1) == "new"
    await shared.cache.aclose()
    engine.dispose()


def test_an_event_loop_that_ends_too_early_loses_nothing(shared, redis_url):
    other = Words(redis_url)
    other.stored = "other"

    async def blocks_then_ends():
        await shared.get(1)
        in_thread_while_blocked(lambda: shared.write(1, "new"))

    asyncio.run(blocks_then_ends())
    assert shared.get.sync(1) == "new"
    assert eventually(lambda: other.get.sync(1) != "old")  # Redis was told
    other.cache.sync.close()


def test_what_is_confirmed_at_once_does_not_count_as_deferred(shared):
    counted = []
    shared.cache.events.subscribe(lambda event: counted.append(event.name))
    assert shared.get.sync(1) == "old"
    shared.write(1, "new")
    assert shared.cache.pending_invalidations == 0
    assert shared.get.sync(1) == "new"
    assert not {"deferred", "delivered"} & set(counted)


def test_a_wait_holds_no_lock_that_a_signal_could_leave_locked(shared, monkeypatch):
    def forbidden(*_):
        raise AssertionError("its condition is written in Python")

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", forbidden)
    assert shared.get.sync(1) == "old"
    shared.write(1, "new")
    assert shared.get.sync(1) == "new"
    assert background_loop.running is not None
