"""Invalidations tied to a SQLAlchemy transaction: after its commit, before the caller goes on, or never."""

import asyncio
import gc
import itertools
from time import monotonic
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from langcache_cli.caching import (
    Cache,
    CacheSettings,
    PatternError,
    UnknownCacheTypeError,
    after_commit,
    set_default_cache,
)
from langcache_cli.caching.testing import Faults, null_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, cache_at

numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/words.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url").replace("://", "+asyncpg://")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE words (id int)"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def session(engine):
    async with AsyncSession(engine) as session:
        yield session


@pytest.fixture
async def words(cache) -> Database:
    """Entries 1 to 4 are in the cache."""
    database = Database(cache, tags=("word:{item}",))
    for item in (1, 2, 3, 4):
        await database.read(item)
    return database


async def write(session) -> None:
    await session.execute(text(f"INSERT INTO words VALUES ({next(numbers)})"))


async def gone(words) -> set[int]:
    """The entries that were invalidated."""
    runtime = words.cache.runtime()
    found = {}
    for item in (1, 2, 3, 4):
        address = words.read.address(item=item)
        stored, *tags = await runtime.node.lookup((address.key, *address.tag_keys))
        found[item] = stored is not None and None not in tags
    return {item for item, there in found.items() if not there}


async def invalidate(words, session, *items: int) -> None:
    """Ask for it; then the entries are stored again, as by readers who come before the commit."""
    words.cache.after_commit(session, *(words.read.key_for(item=item) for item in items))
    await reload(words, *items)


async def reload(words, *items: int) -> None:
    if words.cache.enabled:
        await words.cache.runtime().background.finish(10)
    for item in items:
        await words.read(item)


async def test_a_commit_invalidates_before_it_returns_and_nothing_does_earlier(words, session):
    await write(session)
    await invalidate(words, session, 1, 2)
    await write(session)
    await session.flush()
    assert await gone(words) == set()
    await session.commit()
    assert await gone(words) == {1, 2}


async def test_the_end_of_a_begin_block_is_a_commit(words, engine):
    async with AsyncSession(engine) as session, session.begin():
        await write(session)
        await invalidate(words, session, 1)
    assert await gone(words) == {1}


@pytest.mark.parametrize("how", ["rollback", "close", "error"])
async def test_a_transaction_that_is_rolled_back_invalidates_nothing(words, engine, how):
    async with AsyncSession(engine) as session:
        try:
            async with session.begin():
                await write(session)
                await invalidate(words, session, 1)
                match how:
                    case "rollback":
                        await session.rollback()
                    case "close":
                        await session.close()
                    case _:
                        raise LookupError  # noqa: TRY301 - what a request does
        except LookupError:
            assert how == "error"
        assert await gone(words) == set()
        await write(session)
        await session.commit()
    assert await gone(words) == set()


async def test_a_savepoint_takes_what_was_asked_for_in_it_with_it(words, session):
    await write(session)
    await invalidate(words, session, 1)
    savepoint = await session.begin_nested()
    await write(session)
    await invalidate(words, session, 2)
    await savepoint.rollback()
    async with session.begin_nested():
        await write(session)
        await invalidate(words, session, 3)
    assert await gone(words) == set()
    await session.commit()
    assert await gone(words) == {1, 3}


async def test_savepoints_in_savepoints(words, session):
    await write(session)
    outer = await session.begin_nested()
    await write(session)
    async with session.begin_nested():
        await write(session)
        await invalidate(words, session, 1)
    await invalidate(words, session, 2)
    await outer.rollback()
    async with session.begin_nested(), session.begin_nested():
        await write(session)
        await invalidate(words, session, 3)
    await session.commit()
    assert await gone(words) == {3}


async def test_a_rollback_takes_released_savepoints_with_it(words, session):
    await write(session)
    async with session.begin_nested():
        await write(session)
        await invalidate(words, session, 1)
    await session.rollback()
    await write(session)
    await session.commit()
    assert await gone(words) == set()


async def test_without_a_transaction_it_belongs_to_the_next(words, session):
    await invalidate(words, session, 1)
    await write(session)
    await session.commit()
    assert await gone(words) == {1}


async def test_a_transaction_that_was_never_used_can_be_committed_too(words, session):
    await session.begin()
    await invalidate(words, session, 1)
    await session.commit()
    assert await gone(words) == {1}


async def test_it_happens_once(words, session):
    await write(session)
    await invalidate(words, session, 1)
    await session.commit()
    await words.read(1)
    await write(session)
    await session.commit()
    assert await gone(words) == set()


async def test_keys_tags_patterns_and_types(words, session):
    cache = words.cache
    await write(session)
    cache.after_commit(session, words.read.key_for(item=1), tags=["word:2"], patterns=["cache:*:3"])
    await session.commit()
    assert await gone(words) == {1, 2, 3}
    await write(session)
    cache.after_commit(session, types=["vocabulary"])
    await session.commit()
    assert await gone(words) == {1, 2, 3, 4}


async def test_the_module_level_name_uses_the_default_cache(words, session):
    before = set_default_cache(words.cache)
    try:
        await write(session)
        after_commit(session, tags=["word:4"])
        await session.commit()
    finally:
        set_default_cache(before)
    assert await gone(words) == {4}


async def test_two_caches_and_two_sessions_keep_theirs_apart(words, open_cache, engine):
    other = Database(open_cache(namespace="other"))
    await other.read(1)
    async with AsyncSession(engine) as first, AsyncSession(engine) as second:
        await invalidate(words, first, 1)
        await invalidate(other, first, 1)
        await invalidate(words, second, 2)
        await second.begin()
        await second.commit()
        assert await gone(words) == {2}
        assert await other.cache.holds(other.read.key_for(1))
        await first.begin()
        await first.commit()
    assert await gone(words) == {1, 2}
    assert not await other.cache.holds(other.read.key_for(1))


async def test_a_scoped_session_will_do(words, engine):
    scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
    await write(scoped)
    words.cache.after_commit(scoped, tags=["word:1"])
    await scoped.commit()
    assert await gone(words) == {1}
    await scoped.remove()


async def test_a_commit_whose_answer_was_lost_may_have_been_one(words, engine, session):
    def lose(_):
        raise ConnectionError("the answer was lost")

    await write(session)
    await invalidate(words, session, 1)
    event.listen(engine.sync_engine, "commit", lose)
    with pytest.raises(ConnectionError):
        await session.commit()
    event.remove(engine.sync_engine, "commit", lose)
    await session.close()
    assert await gone(words) == {1}


async def test_while_redis_is_down_a_commit_succeeds_and_the_outbox_keeps_it(open_cache, own_redis, session):
    server = own_redis(appendonly=True)
    words = Database(open_cache(server.url, operation_timeout=0.5))
    await words.read(1)
    server.kill()
    await write(session)
    words.versions[1] = 1
    await invalidate(words, session, 1)
    words.cache.after_commit(session, types=["vocabulary"])
    await session.commit()
    assert words.cache.pending_invalidations == 2
    server.start()
    assert await words.read(1) == [1, 1]
    await aeventually(lambda: words.cache.pending_invalidations == 0)
    assert await words.read(1) == [1, 1]


async def test_cancelled_while_it_invalidates_it_is_kept(open_cache, own_redis, session):
    server = own_redis()
    words = Database(open_cache(server.url))
    await words.read(1)
    await write(session)
    await invalidate(words, session, 1)
    words.cache.after_commit(session, types=["vocabulary"])
    await reload(words, 1)
    server.pause()
    commit = asyncio.create_task(session.commit())
    await aeventually(lambda: words.cache.runtime().node.connection._connection._waiting)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    assert words.cache.pending_invalidations == 2
    server.resume()
    await write(session)  # the session is as good as before
    await session.commit()


async def test_mistakes_are_told_at_once(words, session):
    cache = words.cache
    with pytest.raises(TypeError, match="of SQLAlchemy, not Mock"):
        cache.after_commit(Mock(), "cache:vocabulary:read:1")
    with pytest.raises(PatternError):
        cache.after_commit(session, "elsewhere:1")
    with pytest.raises(PatternError):
        cache.after_commit(session, patterns=["elsewhere:*"])
    with pytest.raises(UnknownCacheTypeError):
        cache.after_commit(session, types=["vocabluary"])


async def test_sessions_are_not_kept(words, engine):
    for _ in range(3):
        async with AsyncSession(engine) as session, session.begin():
            await write(session)
            await invalidate(words, session, 1)
    del session
    gc.collect()
    assert len(words.cache._invalidation._commit_hooks._sessions) == 0


async def test_without_redis_it_does_nothing(open_cache, session):
    words = Database(open_cache(redis_enabled=False))
    await write(session)
    await invalidate(words, session, 1)
    await session.commit()
    assert words.cache.pending_invalidations == 0


async def test_a_commit_waits_for_one_budget_however_slow_redis_is(redis_url, redis_server, session):
    faults = Faults()
    settings = CacheSettings.load(env_file=None, redis_url=redis_url, operation_timeout=0.25)
    async with Cache(settings, externals=faults.externals()) as cache:
        assert await cache.set("vocabulary:0", 1)
        cache.after_commit(
            session, "cache:k", tags=["t"], patterns=["cache:a*", "cache:b*"], types=["vocabulary"]
        )
        await write(session)
        await aeventually(lambda: redis_server.command("DBSIZE") == cache.pending_invalidations == 0)
        for number in range(3000):
            redis_server.command("SET", f"cache:vocabulary:{number}", "1")
        faults.delay(0.1)
        started = monotonic()
        await session.commit()
        assert monotonic() - started < 0.25 + 0.5
        assert cache.pending_invalidations
        faults.heal()
        await aeventually(lambda: cache.pending_invalidations == 0)
        assert redis_server.command("DBSIZE") == 0


async def test_it_holds_before_a_late_commit_and_what_was_stored_until_then_is_removed(words, session):
    await write(session)
    words.cache.after_commit(session, tags=["word:1"])
    assert await words.read(1) == [1, 0]
    assert words.reads[1] == 2  # the entry was gone
    await session.commit()
    assert await gone(words) == {1}


@pytest.mark.parametrize("how", ["commit", "begin", "rollback", "savepoint"])
async def test_a_connection_will_do(words, engine, how):
    async with engine.connect() as connection:
        if how == "begin":
            async with connection.begin():
                await write(connection)
                await invalidate(words, connection, 1)
        else:
            await write(connection)
            await invalidate(words, connection, 1)
            savepoint = await connection.begin_nested()
            await invalidate(words, connection, 2)
            await (savepoint.rollback() if how == "savepoint" else savepoint.commit())
            assert await gone(words) == set()
            await (connection.rollback() if how == "rollback" else connection.commit())
        assert await gone(words) == {"commit": {1, 2}, "rollback": set()}.get(how, {1})
        await reload(words, 1, 2)
        await write(connection)
        await connection.commit()
        assert await gone(words) == set()


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


def test_a_synchronous_commit_without_an_event_loop_is_kept_for_the_next(redis_url, sync_engine):
    words = Database(cache_at(redis_url), tags=("word:{item}",))

    async def read():
        return [await words.read(item) for item in (1, 2)]

    asyncio.run(read())
    words.versions.update([1, 2])
    write_and_commit(words, sync_engine, "session")
    assert asyncio.run(read()) == [[1, 1], [2, 1]]
    assert asyncio.run(read()) == [[1, 1], [2, 1]]
    assert words.cache.pending_invalidations == 0


@pytest.mark.parametrize(
    "session", [Mock(), MagicMock(), AsyncMock(), object(), None], ids=lambda session: type(session).__name__
)
async def test_a_disabled_cache_takes_anything_for_a_session(session):
    for cache in (null_cache(), null_cache(namespace="other")):
        cache.after_commit(session, f"{cache.settings.namespace}:k", tags=["t"], types=["vocabulary"])
        assert await cache.invalidate_tags("t") == 0
        assert await cache.invalidate_keys([f"{cache.settings.namespace}:k"]) == 0
        with pytest.raises(PatternError):
            cache.after_commit(session, "elsewhere:1")
