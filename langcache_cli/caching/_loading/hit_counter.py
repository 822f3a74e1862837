"""Counting the hits of one function on one event loop."""

from __future__ import annotations

from collections.abc import Sequence

from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.labels import Label


class HitCounter:
    """Counts hits without a lock, and passes them to the event hooks."""

    def __init__(self, runtime: Runtime, label: Label) -> None:
        """Start a tally, which is part of the runtime's statistics until `retire`."""
        self._statistics = runtime.statistics
        self._publisher = runtime.publisher
        self._events = runtime.events
        self._label = label
        self._tally = runtime.statistics.tally(label)
        self._sampler = runtime.fleet.hot_keys.sampler
        self._skip = self._sampler.gap()
        """So many hits are not drawn before the next one that is; see `KeySampler`."""

    def count(self, key: str, n_bytes: int, seconds: float) -> None:
        """Count a hit that read ``n_bytes`` from Redis and took ``seconds``."""
        self._tally.count_hit(n_bytes, seconds)
        self._skip -= 1
        if self._skip < 0:
            self._skip = self._sampler.sample(key)
        if self._events.asked or self._publisher.timer is None:
            self._publish(key, "bytes_read", n_bytes, seconds)

    def count_many(self, keys: Sequence[str], sizes: Sequence[int], seconds: float) -> None:
        """Count the hits of one look-up that took ``seconds``: the key of each, and its bytes in Redis."""
        self._tally.count_hits(len(sizes), sum(sizes), seconds)
        self._skip = self._sampler.sample_some(keys, self._skip)
        if self._publisher.timer is None:
            self._publisher.soon()
        if self._events.asked:
            for key, n_bytes in zip(keys, sizes, strict=True):
                self._publish(key, "bytes_read", n_bytes, seconds)

    def count_near(self, key: str, seconds: float) -> None:
        """Count a hit from the near cache that took ``seconds``."""
        self._tally.count_near_hit(seconds)
        self._skip -= 1
        if self._skip < 0:
            self._skip = self._sampler.sample(key)
        if self._events.asked or self._publisher.timer is None:
            self._publish(key, "near", 1, seconds)

    def retire(self) -> None:
        """Stop counting: the event loop is about to end."""
        self._statistics.retire(self._tally)

    def _publish(self, key: str, counter: str, amount: int, seconds: float) -> None:
        """Schedule the delivery of the numbers, and call the event hooks. Most hits need neither."""
        if self._publisher.timer is None:
            self._publisher.soon()
        if self._events.asked:
            self._events.tell(counter, self._label, key, amount, None)
            self._events.tell("hits", self._label, key, 1, seconds)


def count_for_each(
    runtime: Runtime, label: Label, counter: str, keys: Sequence[str], amounts: Sequence[int] | None = None
) -> None:
    """Count something for each of ``keys``; each is an event of its own if there are hooks.

    Args:
        runtime: Of the running event loop.
        label: What it is counted under.
        counter: The name of the counter.
        keys: The keys.
        amounts: How much for each; None for 1.
    """
    if counter == "misses":
        runtime.fleet.hot_keys.sampler.pass_by(keys)
    if runtime.events.asked:
        for key, amount in zip(keys, amounts or [1] * len(keys), strict=True):
            runtime.record(label, counter, amount, key=key)
    elif keys:
        runtime.record(label, counter, len(keys) if amounts is None else sum(amounts))
