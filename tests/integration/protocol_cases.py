"""A key, what it may hold, and what it holds now."""

from langcache_cli.caching._clock import new_id, now_ms
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.lease import new_lease
from langcache_cli.caching._wire.budget import Budget
from tests.integration.one_key import OneKey

KEY = "cache:vocabulary:word:7"
MINUTE_MS = 60_000
FOREIGN_TYPES = {
    "list": ("RPUSH", KEY, "lc1 lease id="),
    "hash": ("HSET", KEY, "id", "lc1"),
    "set": ("SADD", KEY, "lc1"),
    "sorted set": ("ZADD", KEY, 1, "lc1"),
    "stream": ("XADD", KEY, "*", "lc1", "entry"),
}
FOREIGN_STRINGS = {
    "text": b"hello",
    "number": b"42",
    "binary": bytes(range(256)) * 3,
    "header without id": b"lc1 lease id=",
    "cut in the id": b"lc1 entry id=0123456789abcde",
    "newer format": b"lc2 entry id=0123456789abcdef leased=0 created=1 fresh=2 load_us=3 schema=00000000\n{}",
}


def budget() -> Budget:
    return Budget(5.0)


def entry(payload: bytes = b'"value"') -> Entry:
    return Entry(new_id(), now_ms(), now_ms() + MINUTE_MS, 5, "0" * 8, payload)


async def stored_entry(store: OneKey, payload: bytes = b'"old"') -> Entry:
    lease, what = new_lease(KEY), entry(payload)
    assert await store.acquire(lease, budget()) is None
    assert await store.commit(lease, what, MINUTE_MS, budget())
    return what


async def found(store: OneKey) -> Entry | Placeholder | None:
    return (await store.look_up(KEY, budget())).parse()
