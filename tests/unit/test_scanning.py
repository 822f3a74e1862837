"""Removing the keys of a selection: batches, restarts after a reconnect, rates."""

import pytest

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS
from langcache_cli.caching._deployment.server import Layout, Share
from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol.scanning import KEYS_PER_UNLINK, SCANS_PER_UNLINK, unlink


class Searched:
    """A server whose keyspace takes ``searches`` SCAN commands, each of which finds ``keys`` keys."""

    def __init__(self, *, searches: int, keys: int) -> None:
        self.searches = searches
        self.keys = keys
        self.removed: list[int] = []
        self.connection = object()

    async def layout(self, budget=None):
        return Layout()

    async def nodes(self):
        return [self]

    def shares(self):
        return [Share(self, ALL_SLOTS)]

    async def remove(self, keys, *, budget=None):
        self.removed.append(len(keys))
        return len(keys)

    async def call(self, name, *arguments, budget=None):
        number = int(arguments[0]) + 1
        cursor = number if number < self.searches else 0
        return [b"%d" % cursor, [b"cache:%d:%d" % (number, key) for key in range(self.keys)]]


@pytest.mark.parametrize("keys", [1, 20, 100, 300])
async def test_keys_are_removed_in_large_batches_without_delay(keys):
    server = Searched(searches=45, keys=keys)
    assert await unlink(server, Selection("cache:*")) == 45 * keys
    searches = min(SCANS_PER_UNLINK, -(-KEYS_PER_UNLINK // keys))
    assert max(server.removed) == searches * keys
    assert len(server.removed) == -(-45 // searches)


async def test_a_scan_starts_again_over_a_new_connection():
    server = Searched(searches=6, keys=2)
    asked = []

    async def call(name, *arguments, budget=None):
        asked.append(int(arguments[0]))
        if len(asked) == 4:
            server.connection = object()
        return await Searched.call(server, name, *arguments)

    server.call = call
    await unlink(server, Selection("cache:*"))
    assert asked == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]


async def test_nothing_is_removed_if_nothing_is_found():
    server = Searched(searches=45, keys=0)
    assert await unlink(server, Selection("cache:*")) == 0
    assert server.removed == []


async def test_batches_are_small_at_a_low_rate():
    server = Searched(searches=3, keys=2)
    assert await unlink(server, Selection("cache:*"), keys_per_second=20) == 6
    assert server.removed == [2, 2, 2]
