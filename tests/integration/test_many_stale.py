"""Calls for many items whose entries are stale or due: one load of the function renews them all."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import cached_many
from langcache_cli.caching._protocol.lifetime import Lifetime
from tests.harness.polling import aeventually
from tests.integration.cache_support import Gate, make_stale

ITEMS = list(range(100))


class Versions:
    """A version of each item; the batches that were asked for are noted."""

    def __init__(self, cache, **options) -> None:
        self.cache = cache
        self.version = 1
        self.batches: list[list[int]] = []
        self.singles: list[int] = []
        self.failing: set[int] = set()
        self.error: Exception | None = None
        self.gate = Gate(is_open=True)

        @cache.cached(key_prefix="vocabulary", **{"stale_ttl": 60, **options})
        async def one(item: int, db: AsyncSession | None = None) -> str:
            self.singles.append(item)
            return f"{item} v{self.version}"

        @cached_many(one, each="items")
        async def many(items: Sequence[int], db: AsyncSession | None = None) -> list[str | Exception]:
            return await self._load(items)

        @cache.cached(key_prefix="vocabulary", **{"stale_ttl": 60, **options})
        async def alone(item: int) -> str:
            self.singles.append(item)
            return f"{item} v{self.version}"

        @cached_many(alone, each="items")
        async def many_alone(items: Sequence[int]) -> list[str | Exception]:
            return await self._load(items)

        self.with_session, self.many = many, many_alone

    async def _load(self, items: Sequence[int]) -> list[str | Exception]:
        self.batches.append(list(items))
        found = [f"{item} v{self.version}" for item in items]
        await self.gate()
        if self.error is not None:
            raise self.error
        return [
            ValueError(item) if item in self.failing else value
            for item, value in zip(items, found, strict=True)
        ]

    async def stale(self, many, redis_server, items=ITEMS):
        """Store version 1, and let it become stale; version 2 is the next."""
        await many(items)
        for item in items:
            make_stale(redis_server, many.single.key_for(item))
        self.batches.clear()
        self.version = 2

    def count(self, many, name: str) -> int:
        return self.cache.statistics_of(many.single)[name]


def values(version: int, items=ITEMS) -> list[str]:
    return [f"{item} v{version}" for item in items]


@pytest.fixture(params=[(), ("all", "of:{item}")], ids=["plain", "tagged"])
def versions(cache, request) -> Versions:
    return Versions(cache, tags=request.param)


async def test_stale_items_are_served_and_loaded_once_together(versions, redis_server):
    await versions.stale(versions.many, redis_server)
    versions.gate.shut()
    assert await versions.many(ITEMS) == values(1)
    await versions.gate.reached(2)
    assert await versions.many(ITEMS) == values(1)  # their successors are being loaded
    assert versions.count(versions.many, "stale") == 200
    versions.gate.open()
    await aeventually(lambda: renewed(versions.many))
    assert versions.batches == [ITEMS]
    assert versions.singles == []
    assert versions.count(versions.many, "loads") == 2


async def renewed(many) -> bool:
    return await many(ITEMS) == values(2)


async def test_only_what_is_stale_is_renewed_and_what_is_missing_is_waited_for(versions, redis_server):
    await versions.stale(versions.many, redis_server, ITEMS[:10])
    assert await versions.many(ITEMS[:20]) == values(1, ITEMS[:10]) + values(2, ITEMS[10:20])
    await aeventually(lambda: len(versions.batches) == 2)
    assert sorted(versions.batches) == [ITEMS[:10], ITEMS[10:20]]


async def test_with_a_session_the_call_returns_the_new_values(versions, redis_server):
    await versions.stale(versions.with_session, redis_server)
    assert await versions.with_session(ITEMS) == values(2)
    assert versions.batches == [ITEMS]
    assert await versions.with_session(ITEMS) == values(2)
    assert len(versions.batches) == 1


@pytest.mark.parametrize("with_session", [True, False])
async def test_if_the_load_fails_the_old_values_are_served(versions, redis_server, with_session, caplog):
    many = versions.with_session if with_session else versions.many
    await versions.stale(many, redis_server)
    versions.error = OSError("no database")
    assert await many(ITEMS) == values(1)
    await aeventually(lambda: "failed; its stored value is served" in caplog.text)
    assert await many(ITEMS) == values(1)
    assert versions.batches == [ITEMS]  # one attempt for each lease
    assert caplog.text.count("its stored value is served") == 1


async def test_items_that_fail_keep_their_old_values_and_the_others_are_renewed(versions, redis_server):
    await versions.stale(versions.with_session, redis_server)
    versions.failing = {3, 5}
    expected = [f"{item} v{1 if item in versions.failing else 2}" for item in ITEMS]
    assert await versions.with_session(ITEMS) == expected
    assert await versions.with_session(ITEMS) == expected
    assert versions.batches == [ITEMS]


async def test_the_error_is_raised_for_items_that_were_invalidated_meanwhile(versions, redis_server):
    await versions.stale(versions.with_session, redis_server)
    versions.gate.shut()
    versions.failing = {3, 5}
    call = asyncio.create_task(versions.with_session(ITEMS))
    await versions.gate.reached(2)
    await versions.with_session.single.invalidate(3)
    versions.gate.open()
    with pytest.raises(ValueError, match="3"):
        await call


async def test_an_invalidation_meanwhile_refuses_the_new_value(versions, redis_server):
    await versions.stale(versions.many, redis_server)
    versions.gate.shut()
    await versions.many(ITEMS)
    await versions.gate.reached(2)
    await versions.many.single.invalidate(7)
    versions.version = 3
    versions.gate.open()
    await aeventually(lambda: versions.count(versions.many, "refused") == 1)
    assert (await versions.many(ITEMS))[7] == "7 v3"


async def test_two_processes_renew_each_item_once(open_cache, redis_server):
    ours, theirs = (Versions(open_cache()) for _ in range(2))
    await ours.stale(ours.many, redis_server)
    theirs.version = 2
    for one in (ours, theirs):
        one.gate.shut()
    assert await asyncio.gather(ours.many(ITEMS), theirs.many(ITEMS)) == [values(1), values(1)]
    for one in (ours, theirs):
        one.gate.open()
    await aeventually(lambda: renewed(ours.many))
    assert sorted(item for batch in ours.batches + theirs.batches for item in batch) == ITEMS


async def test_items_of_an_early_refresh_are_one_load(cache, monkeypatch):
    versions = Versions(cache, stale_ttl=0.0, early_refresh=1.0)
    await versions.many(ITEMS)
    versions.version = 2
    monkeypatch.setattr(Lifetime, "draw_refresh", lambda *_: True)
    assert await versions.many(ITEMS) == values(1)
    await aeventually(lambda: len(versions.batches) == 2)
    assert versions.batches[1] == ITEMS


async def test_a_cancelled_call_with_a_session_leaves_the_old_values(versions, redis_server):
    await versions.stale(versions.with_session, redis_server)
    versions.gate.shut()
    call = asyncio.create_task(versions.with_session(ITEMS))
    await versions.gate.reached(2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    versions.gate.open()
    assert await versions.with_session(ITEMS) in (values(1), values(2))


async def test_a_batch_with_a_session_of_its_caller_never_runs_in_the_background(cache, redis_server):
    async def own_session(item: int) -> str:
        return f"{item} v1"

    single = cache.cached(key_prefix="episodes", stale_ttl=60)(own_session)
    version, ended = 1, False

    @cached_many(single, each="items")
    async def many(items: Sequence[int], db: AsyncSession | None) -> list[str]:
        assert not ended
        return [f"{item} v{version}" for item in items]

    await many(ITEMS, None)
    for item in ITEMS:
        make_stale(redis_server, single.key_for(item))
    version = 2
    assert await many(ITEMS, None) == values(2)
    ended = True
    assert await many(ITEMS, None) == values(2)
