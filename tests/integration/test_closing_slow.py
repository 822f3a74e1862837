"""Closing a cache whose Redis answers and has much to do: only a server that hangs is given up on."""

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._invalidation import delivery
from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol import scanning

BUDGET_SECONDS = 0.5
KEYS_PER_NODE = 2000
"""Looked at or removed one by one, that takes longer than the budget of a call."""


@pytest.fixture(params=["one server", "cluster"])
def slow(request, open_cache, monkeypatch) -> tuple[Cache, list]:
    """A cache, and its servers, of which each answers at once, and very often."""
    monkeypatch.setattr(scanning, "KEYS_PER_SCAN", 1)
    monkeypatch.setattr(delivery, "KEYS_PER_COMMAND", 1)
    if request.param == "cluster":
        cluster = request.getfixturevalue("bare_cluster")
        servers, url = cluster.primaries, cluster.url
    else:
        servers = [request.getfixturevalue("own_redis")()]
        url = servers[0].url
    return open_cache(url, operation_timeout=BUDGET_SECONDS), servers


async def test_a_pattern_is_invalidated_however_many_keys_there_are(slow):
    cache, servers = slow
    for server in servers:
        server.command("DEBUG", "POPULATE", KEYS_PER_NODE, "cache:words", 1)
    cache.runtime().invalidator.defer([Selection("cache:words:*99")])
    await cache.aclose()
    assert cache.pending_invalidations == 0


async def test_keys_and_then_a_pattern_are_invalidated(slow):
    cache, _ = slow
    keys = [f"cache:words:{number}" for number in range(KEYS_PER_NODE)]
    cache.runtime().invalidator.defer([*keys, Selection("cache:letters:*")])
    await cache.aclose()
    assert cache.pending_invalidations == 0
