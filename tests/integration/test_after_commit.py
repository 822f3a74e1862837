"""Invalidations tied to a SQLAlchemy transaction: after its commit, before the caller goes on, or never."""

import asyncio
import gc

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker

from langcache_cli.caching import after_commit, set_default_cache
from tests.integration.cache_support import Database
from tests.integration.commit_support import gone, invalidate, reload, write


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


async def test_sessions_are_not_kept(words, engine):
    for _ in range(3):
        async with AsyncSession(engine) as session, session.begin():
            await write(session)
            await invalidate(words, session, 1)
    del session
    gc.collect()
    assert len(words.cache.invalidation._commit_hooks._sessions) == 0


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
