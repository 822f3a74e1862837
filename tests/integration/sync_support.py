"""What the tests of synchronous code share."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from langcache_cli.caching import Cache, CachedSyncFunction
from tests.integration.cache_support import cache_at

SECONDS = 30.0


class SyncDatabase:
    """What a synchronous function reads: a version per item; each read is counted, and held at a gate."""

    def __init__(self, cache: Cache, **options: Any) -> None:
        self.cache = cache
        self.versions: Counter[int] = Counter()
        self.threads: list[threading.Thread] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.error: BaseException | None = None
        self.read: CachedSyncFunction[[int], list[int]] = self._cached(cache, options)

    def _cached(self, cache: Cache, options: dict[str, Any]) -> CachedSyncFunction[[int], list[int]]:
        @cache.cached(**{"key_prefix": "vocabulary", "tags": ("word:{item}",), **options})
        def read(item: int) -> list[int]:
            self.threads.append(threading.current_thread())
            value = [item, self.versions[item]]
            self.begun.release()
            assert self.gate.wait(SECONDS)
            if self.error is not None:
                raise self.error
            return value

        return read

    @property
    def reads(self) -> int:
        return len(self.threads)


@contextmanager
def sync_cache(url: str, **settings: Any):
    """A cache that is closed on the background loop."""
    cache = cache_at(url, **settings)
    yield cache
    cache.sync.close()


@contextmanager
def threads(number: int):
    """A pool; its threads have ended afterwards."""
    with ThreadPoolExecutor(number) as pool:
        yield pool
