"""The table of counters: every number that the cache counts, by name.

It feeds ``langcache stats --json``, the health page, ``/metrics`` and ``docs/counters.md``. A new counter
needs an entry here and the line that counts it, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CounterSpec:
    """One counter.

    Attributes:
        name: The name it is counted under.
        code: The letter that stands for it in Redis. It must not change: the numbers of processes that run
            another version are read by it.
        meaning: What it counts, as part of a sentence: lower case, no full stop.
        unit: What one count is: ``calls``, ``loads``, ``values``, ``entries``, ``keys``, ``invalidations``
            ``tags`` or ``bytes``.
        per_function: True if it is counted under the function it belongs to and summed by cache type; False
            if it is counted once for the process, under `OUTBOX`.
    """

    name: str
    code: str
    meaning: str
    unit: str
    per_function: bool = True

    @property
    def exported_name(self) -> str:
        """The name in JSON and in metrics, where the unit comes last: ``read_bytes`` for ``bytes_read``."""
        stem = self.name.removeprefix("bytes_")
        return self.name if stem == self.name else f"{stem}_bytes"

    @property
    def help_text(self) -> str:
        """The meaning as a sentence."""
        return f"{self.meaning[0].upper()}{self.meaning[1:]}."


COUNTERS = {
    spec.name: spec
    for spec in (
        CounterSpec("hits", "H", "calls answered from the cache", "calls"),
        CounterSpec("near", "N", "hits from the memory of the process", "calls"),
        CounterSpec(
            "stale",
            "S",
            "hits served after their TTL, while one call loads the next value or has failed to",
            "calls",
        ),
        CounterSpec("misses", "M", "calls that found nothing usable in the cache", "calls"),
        CounterSpec(
            "outdated",
            "Y",
            "misses whose entry was there, and one of whose tags had been invalidated (or evicted) since",
            "calls",
        ),
        CounterSpec("joined", "J", "misses answered by a load that another call had begun", "calls"),
        CounterSpec("loads", "L", "runs of the function behind the cache", "loads"),
        CounterSpec("load_errors", "E", "runs of the function that raised", "loads"),
        CounterSpec(
            "refused", "R", "loaded values not stored, because of an invalidation meanwhile", "values"
        ),
        CounterSpec(
            "bypassed",
            "B",
            "calls that went straight to the function, because Redis could not be used",
            "calls",
        ),
        CounterSpec("unstored", "U", "values not stored, because Redis did not confirm it", "values"),
        CounterSpec(
            "undecodable",
            "D",
            "entries found but not usable: an older schema, foreign or damaged data",
            "entries",
        ),
        CounterSpec(
            "oversized",
            "O",
            "entries found but not decoded, because of LANGCACHE_MAX_DECOMPRESSED_BYTES",
            "entries",
        ),
        CounterSpec(
            "uncacheable",
            "C",
            "values not stored, because they would not come back the same, or are too large for Redis",
            "values",
        ),
        CounterSpec(
            "declined", "A", "values not stored, because the ttl= of their function said so", "values"
        ),
        CounterSpec(
            "too_large", "T", "values not stored, because of the max_bytes= of their function", "values"
        ),
        CounterSpec("invalidated", "I", "keys removed one by one, through their function", "keys"),
        CounterSpec(
            "cleared_keys",
            "K",
            "keys removed otherwise: by pattern, by type, by plain key, at a commit, by langcache clear",
            "keys",
            per_function=False,
        ),
        CounterSpec(
            "invalidated_tags",
            "X",
            "tags in use that were invalidated; each entry with one of them is a miss from then on",
            "tags",
            per_function=False,
        ),
        CounterSpec(
            "deferred",
            "Q",
            "invalidations kept in an outbox, because Redis did not confirm them",
            "invalidations",
            per_function=False,
        ),
        CounterSpec(
            "delivered",
            "V",
            "deferred invalidations that Redis has confirmed since",
            "invalidations",
            per_function=False,
        ),
        CounterSpec("bytes_read", "G", "bytes of entries read", "bytes"),
        CounterSpec("bytes_written", "W", "bytes of entries stored", "bytes"),
    )
}
"""Every counter by name, in the order in which it is shown."""
