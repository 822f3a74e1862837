"""Invalidations after a commit when the answer is lost, Redis is away or slow, or the caller is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from sqlalchemy import event

from langcache_cli.caching import PatternError, UnknownCacheTypeError
from langcache_cli.caching._protocol.scanning import KEYS_PER_SCAN
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching.testing import null_cache
from tests.harness.polling import aeventually
from tests.harness.shared_redis import fill
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


async def test_all_that_a_commit_invalidates_has_one_budget(open_cache, one_redis, session, monkeypatch):
    cache = open_cache(one_redis.url, operation_timeout=10.0, stats_flush_seconds=600)
    assert await cache.set("vocabulary:0", 1)
    cache.after_commit(
        session, "cache:k", tags=["t"], patterns=["cache:a*", "cache:b*"], types=["vocabulary", "video"]
    )
    await write(session)
    await aeventually(lambda: one_redis.command("DBSIZE") == cache.pending_invalidations == 0)
    fill(one_redis, 20 * KEYS_PER_SCAN, "elsewhere:")
    cache.runtime()._delivery.stop()  # what is left may wait
    sent: list[Budget | None] = []
    with monkeypatch.context() as slow:
        slow.setattr(Node, "exchange", taking(0.4 * 10.0, sent))
        await session.commit()
    assert len(sent) == 3  # the keys and tags, two steps of the search; then 1.2 budgets are spent
    assert cache.pending_invalidations == 4


def taking(seconds: float, sent: list[Budget | None]) -> Callable[..., Awaitable[Any]]:
    """An `exchange` in which each command takes so much of its budget, without the wait."""
    exchange = Node.exchange

    async def spend(node: Node, send: Any, budget: Budget | None) -> Any:
        if budget is None or budget.left > 0:
            sent.append(budget)
        try:
            return await exchange(node, send, budget)
        finally:
            if budget is not None:
                budget.left -= seconds

    return spend


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
