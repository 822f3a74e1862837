"""How long a call may be kept waiting: by a load that takes too long, a lease nobody uses, a hung Redis."""

import asyncio
import contextlib

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._runtime.loop_runtime import BULK_TIMEOUT_SECONDS
from langcache_cli.caching.tooling import warm
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, waiting

MARGIN = 3.0


@contextlib.asynccontextmanager
async def within(seconds: float):
    """Fail if it takes longer, by a wide margin of this machine's."""
    async with asyncio.timeout(seconds + MARGIN):
        yield


def absent(redis_server, key: str):
    """What to poll: nothing is there, not even the lease of a load."""
    return aeventually(lambda: redis_server.command("EXISTS", key) == 0)


# -- loads that take longer than loads may --


async def test_a_load_that_takes_too_long_sends_nobody_else_to_the_function(open_cache):
    settings = {"load_timeout": 0.2, "lease_seconds": 30.0}
    databases = [Database(open_cache(**settings), held=True) for _ in range(2)]
    calls = [asyncio.create_task(database.read(1)) for database in databases for _ in range(50)]
    leader = await aeventually(lambda: next((d for d in databases if d.reads), None))
    await asyncio.sleep(3 * settings["load_timeout"])  # the point is that nothing happens meanwhile
    assert sum(database.reads[1] for database in databases) == 1
    leader.gate.open()
    assert await asyncio.gather(*calls) == [[1, 0]] * 100
    assert sum(database.reads[1] for database in databases) == 1


async def test_when_a_load_hangs_one_other_call_loads_for_all(open_cache):
    database = Database(open_cache(load_timeout=1.0, lease_seconds=0.5), held=True)
    calls = [asyncio.create_task(database.read(1)) for _ in range(50)]
    await aeventually(lambda: database.reads[1] == 2)
    assert waiting(database.cache) > 1
    database.gate.open()
    assert await asyncio.gather(*calls) == [[1, 0]] * 50
    assert database.reads == {1: 2}


async def test_calls_that_load_despite_a_lease_share_that_load(open_cache, redis_server):
    theirs = Database(open_cache(), held=True)
    ours = Database(open_cache(load_timeout=1.5, lease_seconds=0.1), held=True)
    loading = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    placeholder = redis_server.command("GET", ours.read.key_for(1))
    calls = [asyncio.create_task(ours.read(1)) for _ in range(50)]
    await ours.gate.reached()
    await aeventually(lambda: waiting(ours.cache) == 50)
    ours.gate.open()
    values = await asyncio.gather(*calls)
    assert values == [[1, 0]] * 50
    assert len({id(value) for value in values}) == 50
    assert ours.reads == {1: 1}
    assert redis_server.command("GET", ours.read.key_for(1)) == placeholder
    theirs.gate.open()
    await loading


# -- leases that nobody uses --


async def test_a_lease_whose_taking_was_not_confirmed_is_given_back(
    open_cache, own_redis, fault_proxy, monkeypatch
):
    server = own_redis()
    proxy = fault_proxy(server.port)
    database = Database(open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=0.25))
    await database.cache.ping()
    proxy.delay(0.07)  # a look-up is in time, and what comes after it is not
    async with within(0.25):
        assert await database.read(1) == [1, 0]
    await absent(server, database.read.key_for(1))


async def test_a_lease_whose_value_could_not_be_stored_is_given_back(open_cache, own_redis, fault_proxy):
    server = own_redis()
    proxy = fault_proxy(server.port)
    database = Database(open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=0.25), held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    proxy.cut()
    database.gate.open()
    assert await call == [1, 0]
    await aeventually(lambda: b"lc1 lease" not in (server.command("GET", database.read.key_for(1)) or b""))


async def test_a_cancelled_refresh_keeps_no_lease(cache, redis_server):
    database = Database(cache)
    await database.cache.ping()
    for steps in range(1, 8):
        refresh = asyncio.create_task(database.read.refresh(steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        refresh.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await refresh
        key = database.read.key_for(steps)
        await aeventually(
            lambda key=key: b"lc1 lease" not in (redis_server.command("GET", key) or b""), within=1
        )


async def test_a_warm_that_fails_gives_back_what_it_has_taken(cache, redis_server):
    database = Database(cache)
    await database.read(1)

    async def load(_):
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone"):
        await warm(cache, database.read, [{"item": 1}, {"item": 2}], load)
    await absent(redis_server, database.read.key_for(2))
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}


async def test_a_warm_that_hangs_keeps_its_leases_no_longer_than_a_load_may_take(open_cache):
    cache, other = open_cache(load_timeout=0.2, lease_seconds=0.3), open_cache()
    database, gate = Database(cache), Gate()

    async def load(calls):
        await gate()
        return [[0, 0] for _ in calls]

    warming = asyncio.create_task(warm(cache, database.read, [{"item": 1}], load))
    await gate.reached()
    elsewhere = database.again(other)
    async with within(0.5):
        assert await elsewhere(1) == [1, 0]
    gate.open()
    assert (await warming).refused == 1


# -- a hung Redis --


@pytest.mark.parametrize("how", ["pattern", "type", "key", "tag"])
async def test_no_invalidation_waits_for_a_hung_redis(open_cache, own_redis, how):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.25)
    await cache.ping()
    server.pause()
    async with within(BULK_TIMEOUT_SECONDS / 3):  # which it took before: far from it, and from the budget
        match how:
            case "pattern":
                await cache.invalidate("cache:*:1")
            case "type":
                await cache.invalidate_type("vocabulary")
            case "key":
                await cache.delete("vocabulary:1")
            case "tag":
                await cache.invalidate_tags("word:1")
    assert cache.pending_invalidations == 1
    async with within(BULK_TIMEOUT_SECONDS / 3):
        await cache.aclose()
    server.resume()


async def test_a_delivery_that_was_stopped_does_not_begin_again(cache):
    started = []
    runtime = cache.runtime()
    runtime.outbox.defer(["cache:vocabulary:1"])
    delivery = Delivery(
        runtime.outbox,
        runtime.server,
        spawn=lambda work: started.append(work.close()),
        count=print,
        on_overflow=print,
    )
    delivery.stop()
    delivery.soon()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert started == []
    assert delivery._timer is None


# -- what belongs to a caller --


@pytest.mark.parametrize("way", ["call", "refresh"])
async def test_a_load_on_the_session_of_a_cancelled_call_ends_with_that_call(cache, postgres_url, way):
    engine = create_async_engine(postgres_url.replace("://", "+asyncpg://"))
    using: list[AsyncSession] = []
    gate = Gate()

    @cache.cached(key_prefix="vocabulary")
    async def read(item: int, session: AsyncSession) -> int:
        using.append(session)
        try:
            await gate()
        finally:
            using.remove(session)
        return item

    async def request() -> int:
        async with AsyncSession(engine) as session:
            try:
                return await (read.refresh if way == "refresh" else read)(1, session)
            finally:
                assert session not in using  # it is about to be closed

    first = asyncio.create_task(request())
    await gate.reached()
    second = asyncio.create_task(read(1, AsyncSession(engine)))
    await aeventually(lambda: waiting(cache) == 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await gate.reached(2)
    gate.open()
    assert await second == 1
    await engine.dispose()


async def test_a_lease_that_never_ends_holds_readers_for_one_lease_time(open_cache, redis_server):
    database = Database(open_cache(lease_seconds=0.3))
    redis_server.command(
        "SET", database.read.key_for(1), "lc1 lease id=5c07a1be9f3d2264 created=1795420171390\n"
    )
    async with asyncio.timeout(5):
        assert await asyncio.gather(database.read(1), database.read(1)) == [[1, 0], [1, 0]]
    assert database.reads == {1: 1}
    assert redis_server.command("PTTL", database.read.key_for(1)) > 1000
