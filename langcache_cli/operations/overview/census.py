"""The keys that were looked at, and what follows for all: exact for all of them, else with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from typing_extensions import TypedDict

from langcache_cli.operations.overview.document import BigKey, Ending, Keyspace, OtherKeys
from langcache_cli.operations.overview.key_text import readable

BIGGEST = 10
OTHERS = ""
"""In place of a type: keys outside the namespace."""

OWN = "@"
"""In place of a type: the namespace's counters, tags and events."""

HALF_OF_95_PERCENT = 1.96
"""Standard deviations."""

RULE_OF_THREE = 3
"""Of ``n`` draws none has what fewer than three in ``n`` have, in 95 of 100 cases."""

NOTHING = (0, 0, 0)

ENDS: Final = (
    ("5 min", 300),
    ("30 min", 1800),
    ("1 h", 3600),
    ("6 h", 21600),
    ("1 day", 86400),
)
LATER, NEVER = "later", "never"


class SeenKey(NamedTuple):
    """One key that was looked at. ``bytes`` is 0 if it is not known, ``ttl_ms`` -1 for no end."""

    key: bytes
    type: str
    ttl_ms: int
    bytes: int

    @property
    def is_entry(self) -> bool:
        """False for keys of others, and for those that the cache keeps beside the entries."""
        return self.type not in (OTHERS, OWN)


class Sample(NamedTuple):
    """Keys of one node that were drawn at random, or all of them.

    Attributes:
        keys: How many the node has.
        seen: Those that were looked at.
    """

    keys: int
    seen: Sequence[SeenKey]


class KeyCounts(TypedDict):
    """Keys and bytes, each with half of a 95 % interval."""

    keys: int
    keys_error: int
    bytes: int
    bytes_error: int


class Census:
    """What is known of the keys of a database."""

    def __init__(self, samples: Sequence[Sample], *, exact: bool, problem: str = "") -> None:
        """Add up what was seen.

        Args:
            samples: One of each node.
            exact: True if every key was looked at.
            problem: Why something is not known, such as a missing right; empty for nothing.
        """
        self.samples = samples
        self.exact = exact
        self.problem = problem
        self._sums = [_sums(sample.seen) for sample in samples]

    @property
    def database_keys(self) -> int:
        """How many keys there are."""
        return sum(sample.keys for sample in self.samples)

    @property
    def types(self) -> set[str]:
        """The types of the entries that were seen."""
        return {name for sums in self._sums for name in sums} - {OTHERS, OWN}

    def of_type(self, name: str) -> KeyCounts:
        """Keys and bytes of a type. Of one that was not seen among some there may be a few keys."""
        keys = n_bytes = keys_variance = bytes_variance = unseen = 0.0
        for sample, sums in zip(self.samples, self._sums, strict=True):
            n = len(sample.seen)
            if not n:
                continue
            count, total, squares = sums.get(name, NOTHING)
            keys += sample.keys * count / n
            n_bytes += sample.keys * total / n
            keys_variance += sample.keys**2 * (count / n) * (1 - count / n) / n
            bytes_variance += sample.keys**2 * max(squares / n - (total / n) ** 2, 0.0) / n
            unseen += RULE_OF_THREE * sample.keys / n
        if self.exact:
            keys_variance = bytes_variance = unseen = 0.0
        keys_error = HALF_OF_95_PERCENT * math.sqrt(keys_variance) if keys else unseen
        return KeyCounts(
            keys=round(keys),
            keys_error=math.ceil(keys_error),
            bytes=round(n_bytes),
            bytes_error=math.ceil(HALF_OF_95_PERCENT * math.sqrt(bytes_variance)),
        )

    def biggest(self) -> list[BigKey]:
        """The largest entries among those that were looked at."""
        entries = {one.key: one for one in self._seen() if one.is_entry and one.bytes}
        largest = sorted(entries.values(), key=lambda one: -one.bytes)[:BIGGEST]
        return [BigKey(key=readable(one.key), type=one.type, bytes=one.bytes) for one in largest]

    def keyspace(self) -> Keyspace:
        """As part of the document."""
        return Keyspace(
            exact=self.exact,
            sampled=sum(len(sample.seen) for sample in self.samples),
            database_keys=self.database_keys,
            own=self._beside_entries(OWN),
            other=self._beside_entries(OTHERS),
            ends=self._ends(),
            problem=self.problem,
        )

    def _beside_entries(self, name: str) -> OtherKeys:
        found = self.of_type(name)
        return OtherKeys(keys=found["keys"], bytes=found["bytes"], bytes_error=found["bytes_error"])

    def _seen(self) -> Iterator[SeenKey]:
        for sample in self.samples:
            yield from sample.seen

    def _ends(self) -> list[Ending]:
        totals = dict.fromkeys((*dict(ENDS), LATER, NEVER), (0.0, 0.0))
        for sample in self.samples:
            weight = sample.keys / len(sample.seen) if sample.seen else 0.0
            for one in sample.seen:
                if one.is_entry:
                    label = _end_of(one.ttl_ms)
                    keys, n_bytes = totals[label]
                    totals[label] = keys + weight, n_bytes + weight * one.bytes
        until = dict[str, int | None](ENDS)
        return [
            Ending(label=label, until_seconds=until.get(label), keys=round(keys), bytes=round(n_bytes))
            for label, (keys, n_bytes) in totals.items()
        ]


def _sums(seen: Sequence[SeenKey]) -> dict[str, tuple[int, int, int]]:
    """For each type how many keys there are, their bytes, and the sum of the squares of these."""
    sums: dict[str, tuple[int, int, int]] = {}
    for _, name, _, n_bytes in seen:
        count, total, squares = sums.get(name, NOTHING)
        sums[name] = count + 1, total + n_bytes, squares + n_bytes * n_bytes
    return sums


def _end_of(ttl_ms: int) -> str:
    if ttl_ms < 0:
        return NEVER
    return next((label for label, seconds in ENDS if ttl_ms <= 1000 * seconds), LATER)
