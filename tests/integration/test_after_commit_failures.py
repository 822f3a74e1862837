"""Invalidations after a commit when the answer is lost, Redis is away or slow, or the caller is cancelled."""

import asyncio
from time import monotonic
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from sqlalchemy import event

from langcache_cli.caching import Cache, CacheSettings, PatternError, UnknownCacheTypeError
from langcache_cli.caching.testing import Faults, null_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database
from tests.integration.commit_support import gone, invalidate, reload, write


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
    await aeventually(lambda: words.cache.runtime().server.node.connection._connection._waiting)
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
        assert redis_server.command("KEYS", "cache:*") == []


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
