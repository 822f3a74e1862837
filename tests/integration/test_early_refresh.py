"""Entries are loaded anew before they end, likelier the nearer the end, and TTLs are spread."""

import json

import pytest

from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._protocol.lifetime import Lifetime
from tests.harness.polling import aeventually
from tests.integration.stale_origin import Origin


@pytest.fixture
def origin(cache) -> Origin:
    return Origin(cache, ttl=60, stale_ttl=600)


async def test_an_entry_is_refreshed_early_by_one_of_its_callers(cache, redis_server):
    origin = Origin(cache, ttl=60, early_refresh=1)
    await origin.read(1)
    key = origin.read.key_for(1)
    data = redis_server.command("GET", key)
    load_us = parse(data).load_us
    slow = data.replace(f"load_us={load_us} ".encode(), f"load_us={3600 * 10**6} ".encode(), 1)
    redis_server.command("SET", key, slow, "KEEPTTL")  # a load of an hour: it cannot begin early enough
    origin.version = 1
    origin.gate.shut()

    async def begun() -> bool:
        assert await origin.read(1) == [1, 0]
        return origin.loads == 2

    await aeventually(begun)
    assert [await origin.read(1) for _ in range(50)] == [[1, 0]] * 50
    origin.gate.open()

    async def replaced() -> bool:
        return await origin.read(1) == [1, 1]

    await aeventually(replaced)
    assert origin.loads == 2
    assert origin.counted("stale") == 0


async def test_without_early_refresh_a_fresh_entry_is_left_alone(cache):
    origin = Origin(cache, ttl=60, stale_ttl=60)
    for _ in range(50):
        await origin.read(1)
    assert origin.loads == 1


def test_early_refresh_is_likelier_the_nearer_the_end_and_the_longer_the_load():
    entry = parse(
        b"lc1 entry id=%016x leased=%013d created=0 fresh=100000 load_us=1000000 schema=00000000\n" % (1, 0)
    )
    lifetime = Lifetime(100, early_refresh=1)

    def share(now_ms: int, lifetime: Lifetime = lifetime) -> float:
        return sum(lifetime.draw_refresh(entry, now_ms) for _ in range(4000)) / 4000

    # XFetch: P(due) = exp(-(time left) / (beta * load time))
    assert share(98_000) == pytest.approx(0.135, abs=0.04)
    assert share(99_000) == pytest.approx(0.368, abs=0.04)
    assert share(99_000, Lifetime(100, early_refresh=2)) == pytest.approx(0.607, abs=0.04)
    assert share(50_000) == 0
    assert share(100_000) == 1


async def test_ttls_are_spread_and_never_longer_than_they_were_asked_for(cache, redis_server):
    origin = Origin(cache, ttl=1000)
    for item in range(40):
        await origin.read(item)
    entries = [parse(redis_server.command("GET", origin.read.key_for(item))) for item in range(40)]
    ttls = {entry.fresh_until_ms - entry.created_ms for entry in entries}
    assert len(ttls) > 20
    assert 950_000 <= min(ttls) < 980_000 < max(ttls) <= 1_000_000


async def test_without_jitter_a_ttl_is_what_it_says(open_cache, redis_server):
    origin = Origin(open_cache(ttl_jitter=0), ttl=1000)
    await origin.read(1)
    entry = parse(redis_server.command("GET", origin.read.key_for(1)))
    assert entry.fresh_until_ms - entry.created_ms == 1_000_000
    assert json.loads(entry.payload) == [1, 0]


@pytest.mark.parametrize(
    "options", [{"stale_ttl": -1}, {"stale_ttl": float("inf")}, {"early_refresh": -1}, {"early_refresh": 101}]
)
def test_times_that_mean_nothing_are_refused(cache, options):
    with pytest.raises(TypeError, match=f"{next(iter(options))} must be"):

        @cache.cached(key_prefix="times", **options)
        async def load() -> int: ...
