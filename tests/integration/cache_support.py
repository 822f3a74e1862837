"""What the tests of the core share: caches, and an origin whose runs they can count, hold and break."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from langcache_cli.caching import Cache, CachedFunction, CacheSettings, CacheUnavailableError
from langcache_cli.caching._protocol.entry import parse
from tests.harness.polling import aeventually
from tests.harness.shared_redis import Shared

ROOT = Path(__file__).parents[2]


PATIENCE_SECONDS = 10.0
"""The budget of a call, and the time of a lease, where they do not matter: a busy machine must not look like
an outage, nor like a process that has died."""

DELIVERY_SECONDS = 3600.0


def cache_at(url: str, *, defer_invalidations: bool = True, **settings: Any) -> Cache:
    """A cache that reads no environment; settings by field name. Its calls and leases last long.

    It delivers its counters when it is closed: a test that takes longer than the default interval on a busy
    machine would find some of them gone from `statistics_of`.
    """
    settings.setdefault("operation_timeout", PATIENCE_SECONDS)
    settings.setdefault("lease_seconds", PATIENCE_SECONDS)
    settings.setdefault("stats_flush_seconds", DELIVERY_SECONDS)
    return Cache(
        CacheSettings.load(env_file=None, redis_url=url, **settings), defer_invalidations=defer_invalidations
    )


class Gate:
    """Holds everyone who passes through while it is shut, and says how many have come."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.arrived = 0
        self._open = asyncio.Event()
        if is_open:
            self._open.set()

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    async def __call__(self) -> None:
        self.arrived += 1
        await self._open.wait()

    async def reached(self, times: int = 1) -> None:
        await aeventually(lambda: self.arrived >= times, every=0.001, within=60)


class Database:
    """What functions behind the cache read: a version per item, each read counted, held at a gate."""

    def __init__(
        self, cache: Cache, *, held: bool = False, prefix: str = "vocabulary", **options: Any
    ) -> None:
        """Functions on ``cache``, decorated with ``options``."""
        self.cache = cache
        self.options = options
        self.versions: Counter[int] = Counter()
        self.reads: Counter[int] = Counter()
        self.gate = Gate(is_open=not held)
        self.error: BaseException | None = None
        self.read: CachedFunction[[int], list[int]] = self._cached(cache, prefix)

    def _cached(self, cache: Cache, prefix: str) -> CachedFunction[[int], list[int]]:
        @cache.cached(key_prefix=prefix, **self.options)
        async def read(item: int) -> list[int]:
            self.reads[item] += 1
            value = [item, self.versions[item]]
            await self.gate()
            if self.error is not None:
                raise self.error
            return value

        return read

    def again(self, cache: Cache) -> CachedFunction[[int], list[int]]:
        """The same function on another cache."""
        return self._cached(cache, self.read.spec.keys.prefix)


async def redis_answers(cache: Cache) -> bool:
    """True if Redis answers a call of the cache."""
    try:
        return await cache.ping() > 0
    except CacheUnavailableError:
        return False


def make_stale(redis_server: Shared, key: str) -> None:
    """Move the end of freshness into the past, as time would."""
    entry = parse(redis_server.command("GET", key))
    old = f"fresh={entry.fresh_until_ms} ".encode()
    data = redis_server.command("GET", key).replace(old, f"fresh={entry.created_ms} ".encode(), 1)
    redis_server.command("SET", key, data, "KEEPTTL")


def waiting(cache: Cache) -> int:
    """How many calls wait for the same load.

    Callers of a cold key begin with a flight each, until the first of them has the lease.
    """
    whole = (getattr(flight, "_flight", flight) for flight in flights(cache))  # a load of many keys is one
    return max((flight._waiting for flight in whole), default=0)


def flights(cache: Cache) -> list[Any]:
    """The loads under way."""
    return list(cache.runtime().running_loads._by_token.values())


FOLLOWS_A_SENTINEL = "langcache-sentinel-watch"


def leftover_tasks(*, is_closed: bool = False) -> list[str]:
    """The tasks of this loop besides those of the test itself and its fixtures.

    Those that follow sentinels belong to a cache until it is closed: they count only if it ``is_closed``.
    """
    return [
        task.get_name() + repr(task.get_coro())
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
        and not task.done()
        and (is_closed or task.get_name() != FOLLOWS_A_SENTINEL)
    ]


def python(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Another Python process that can import this package and these tests; its pipes are text."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
