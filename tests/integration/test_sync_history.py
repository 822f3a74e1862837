"""Threads that read and change at the same time, while Redis is stopped, restarted and emptied.

A call that begins after an invalidation must not return what was there before it: in the cache that has asked
for the invalidation always; in others once Redis has confirmed it, from their memory a little later.
"""

import random
import threading
import time
from collections import Counter, defaultdict
from itertools import count

from tests.harness.redis_server import RedisServer
from tests.integration.sync_support import SyncDatabase, sync_cache

SECONDS = 1.5
ITEMS = 4
READERS = 3
NEAR = {"local_ttl": 60}
OPTIONS = ({}, NEAR, {"stale_ttl": 600, "ttl": 0.2}, {"early_refresh": 1.0, "ttl": 0.3})


class History:
    """What all threads share."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.versions: Counter[int] = Counter()
        self.numbers = count(1)
        self.reads = 0
        self.wrong: list[tuple[int, int]] = []
        self.lock = threading.Lock()
        self.sides: list[Side] = []

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.ends


class Side:
    """A cache; its threads, and the versions that their calls must return at least."""

    def __init__(self, history: History, cache) -> None:
        self.history, self.cache = history, cache
        self.own: defaultdict[int, int] = defaultdict(int)
        self.of_all: defaultdict[int, int] = defaultdict(int)
        self.words = [
            SyncDatabase(cache, key_prefix=f"of{number}", **one) for number, one in enumerate(OPTIONS)
        ]
        for words in self.words:
            words.versions = history.versions

    def read(self) -> None:
        while self.history.goes_on:
            item, number = random.randrange(ITEMS), random.randrange(len(OPTIONS))
            least = self.own[item] if OPTIONS[number] is NEAR else max(self.own[item], self.of_all[item])
            found = self.words[number].read(item)[1]
            with self.history.lock:
                self.history.reads += 1
                if found < least:
                    self.history.wrong.append((least, found))

    def change(self) -> None:
        while self.history.goes_on:
            item = random.randrange(ITEMS)
            with self.history.lock:
                self.history.versions[item] = version = next(self.history.numbers)
            self.cache.sync.invalidate_tags(f"word:{item}")
            confirmed = not self.cache.pending_invalidations
            with self.history.lock:
                self.own[item] = max(self.own[item], version)
                for side in self.history.sides if confirmed else ():
                    side.of_all[item] = max(side.of_all[item], version)
            time.sleep(0.02 * random.random())  # the next change comes at a random moment


def disturb(server: RedisServer, history: History) -> None:
    for way in random.sample(["stop", "restart", "flush"], 3) * 100:
        time.sleep(0.2)  # meanwhile Redis works
        if not history.goes_on:
            return
        if way == "stop":
            server.pause()
            time.sleep(0.3 * random.random())  # so long it does not answer
            server.resume()
        else:
            server.restart() if way == "restart" else server.flush()


def run(server: RedisServer, *caches, seconds: float) -> History:
    history = History(seconds)
    history.sides = [Side(history, cache) for cache in caches]
    work = [work for side in history.sides for work in (*[side.read] * READERS, side.change)]
    workers = [threading.Thread(target=one) for one in work]
    for worker in workers:
        worker.start()
    disturb(server, history)
    for worker in workers:
        worker.join()
    return history


def test_no_call_returns_what_was_there_before_an_invalidation(own_redis):
    server = own_redis()
    with (
        sync_cache(server.url, operation_timeout=0.25) as one,
        sync_cache(server.url, operation_timeout=0.25) as other,
    ):
        history = run(server, one, other, seconds=SECONDS)
    assert history.wrong == []
    assert history.reads > 100
