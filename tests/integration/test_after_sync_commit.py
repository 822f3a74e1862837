"""Invalidations after the commit of a synchronous session or connection, in any thread."""

import asyncio

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, cache_at
from tests.integration.commit_support import gone


@pytest.fixture
def sync_engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/sync.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE words (id int)"))
    yield engine
    engine.dispose()


def write_and_commit(words, engine, kind) -> None:
    with Session(engine) if kind == "session" else engine.connect() as session:
        session.execute(text("INSERT INTO words VALUES (1)"))
        words.cache.after_commit(session, words.read.key_for(item=1), tags=["word:2"])
        session.commit()


@pytest.mark.parametrize("kind", ["session", "connection"])
async def test_a_synchronous_commit_in_another_thread_invalidates_before_it_returns(words, sync_engine, kind):
    await asyncio.to_thread(write_and_commit, words, sync_engine, kind)
    assert await gone(words) == {1, 2}
    assert words.cache.pending_invalidations == 0


async def test_a_synchronous_commit_on_the_event_loop_keeps_this_process_from_reading(words, sync_engine):
    words.versions[1] = 1
    write_and_commit(words, sync_engine, "session")
    assert words.cache.pending_invalidations == 2
    assert await words.read(1) == [1, 1]
    await aeventually(lambda: words.cache.pending_invalidations == 0)
    assert await gone(words) >= {1, 2}


def test_a_synchronous_commit_without_an_event_loop_invalidates_before_it_returns(redis_url, sync_engine):
    words = Database(cache_at(redis_url), tags=("word:{item}",))

    async def read():
        return [await words.read(item) for item in (1, 2)]

    asyncio.run(read())
    words.versions.update([1, 2])
    write_and_commit(words, sync_engine, "session")
    assert words.cache.pending_invalidations == 0
    assert asyncio.run(gone(words)) >= {1, 2}
    assert asyncio.run(read()) == [[1, 1], [2, 1]]
    words.cache.sync.close()
