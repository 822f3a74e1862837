"""Counting the hits of one function that threads have found by themselves."""

from __future__ import annotations

import threading

from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._sync.background_loop import submit


class ThreadHits:
    """As `HitCounter`, for many threads: what needs the event loop is passed to it."""

    def __init__(self, runtime: Runtime, label: Label) -> None:
        """Start a tally, which is part of the runtime's statistics until `retire`."""
        self._runtime = runtime
        self._label = label
        self._publisher = runtime.publisher
        self._events = runtime.events
        self._tally = runtime.statistics.tally(label)
        self._sampler = runtime.fleet.hot_keys.sampler
        self._skip = self._sampler.gap()
        self._lock = threading.RLock()  # a signal handler, or `__del__`, may call while it is held
        self._is_told = False
        """True while the loop is about to schedule the delivery of the counts."""

    def count(self, key: str, n_bytes: int, seconds: float) -> None:
        """Count a hit that read ``n_bytes`` from Redis and took ``seconds``."""
        with self._lock:
            self._tally.count_hit(n_bytes, seconds)
            self._skip -= 1
            is_sampled = self._skip < 0
            if is_sampled:
                self._skip = self._sampler.gap()
        self._pass_on("bytes_read", key, n_bytes, seconds, is_sampled=is_sampled)

    def count_near(self, key: str, seconds: float) -> None:
        """Count a hit from the memory of the process that took ``seconds``."""
        with self._lock:
            self._tally.count_near_hit(seconds)
            self._skip -= 1
            is_sampled = self._skip < 0
            if is_sampled:
                self._skip = self._sampler.gap()
        self._pass_on("near", key, 1, seconds, is_sampled=is_sampled)

    def retire(self) -> None:
        """Stop counting: the event loop is about to end."""
        self._runtime.statistics.retire(self._tally)

    def _pass_on(self, counter: str, key: str, amount: int, seconds: float, *, is_sampled: bool) -> None:
        """Let the event loop do its part. Most hits need nothing of it."""
        if is_sampled:
            submit(self._runtime.loop, self._sampler.sample, key)
        if self._publisher.timer is None and not self._is_told:
            self._is_told = True
            submit(self._runtime.loop, self._publish)
        if self._events.asked:
            submit(self._runtime.loop, self._tell, counter, key, amount, seconds)

    def _publish(self) -> None:
        self._publisher.soon()
        self._is_told = self._publisher.timer is None  # it delivers nothing, and need not be told again

    def _tell(self, counter: str, key: str, amount: int, seconds: float) -> None:
        self._events.tell(counter, self._label, key, amount, None)
        self._events.tell("hits", self._label, key, 1, seconds)
