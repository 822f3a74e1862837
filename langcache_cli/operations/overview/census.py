"""The keys that were looked at, and what follows for all: exact for all of them, else with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from typing_extensions import TypedDict

from langcache_cli.operations.overview.document import BigKey, Ending, Keyspace, OtherKeys
from langcache_cli.operations.overview.key_text import readable

BIGGEST = 10
OTHERS = ""
"""In place of a type: keys outside the namespace."""

HALF_OF_95_PERCENT = 1.96
"""Standard deviations."""

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


@dataclass(frozen=True, slots=True)
class Census:
    """What is known of the keys of a database.

    Attributes:
        samples: One of each node.
        exact: True if every key was looked at.
        problem: Why something is not known, such as a missing right; empty for nothing.
    """

    samples: Sequence[Sample]
    exact: bool
    problem: str = ""

    @property
    def database_keys(self) -> int:
        """How many keys there are."""
        return sum(sample.keys for sample in self.samples)

    @property
    def types(self) -> set[str]:
        """The types that were seen; empty for keys outside the namespace."""
        return {one.type for sample in self.samples for one in sample.seen}

    def of_type(self, name: str) -> KeyCounts:
        """Keys and bytes of a type."""
        keys, keys_error = self._total(lambda one: one.type == name)
        n_bytes, bytes_error = self._total(lambda one: one.bytes if one.type == name else 0)
        return KeyCounts(
            keys=round(keys),
            keys_error=math.ceil(keys_error),
            bytes=round(n_bytes),
            bytes_error=math.ceil(bytes_error),
        )

    def biggest(self) -> list[BigKey]:
        """The largest entries among those that were looked at."""
        entries = {one.key: one for one in self._seen() if one.type and one.bytes}
        largest = sorted(entries.values(), key=lambda one: -one.bytes)[:BIGGEST]
        return [BigKey(key=readable(one.key), type=one.type, bytes=one.bytes) for one in largest]

    def keyspace(self) -> Keyspace:
        """As part of the document."""
        other = self.of_type(OTHERS)
        return Keyspace(
            exact=self.exact,
            sampled=sum(len(sample.seen) for sample in self.samples),
            database_keys=self.database_keys,
            other=OtherKeys(keys=other["keys"], bytes=other["bytes"], bytes_error=other["bytes_error"]),
            ends=self._ends(),
            problem=self.problem,
        )

    def _seen(self) -> Iterator[SeenKey]:
        for sample in self.samples:
            yield from sample.seen

    def _total(self, value: Callable[[SeenKey], float]) -> tuple[float, float]:
        """The sum of a value over all keys, and half of its 95 % interval."""
        total = variance = 0.0
        for sample in self.samples:
            n = len(sample.seen)
            if not n:
                continue
            values = [value(one) for one in sample.seen]
            mean = sum(values) / n
            total += sample.keys * mean
            if not self.exact:
                spread = max(sum(one * one for one in values) / n - mean * mean, 0.0)
                variance += sample.keys**2 * spread / n
        return total, HALF_OF_95_PERCENT * math.sqrt(variance)

    def _ends(self) -> list[Ending]:
        totals = dict.fromkeys((*dict(ENDS), LATER, NEVER), (0.0, 0.0))
        for sample in self.samples:
            weight = sample.keys / len(sample.seen) if sample.seen else 0.0
            for one in sample.seen:
                if one.type:
                    label = _end_of(one.ttl_ms)
                    keys, n_bytes = totals[label]
                    totals[label] = keys + weight, n_bytes + weight * one.bytes
        until = dict[str, int | None](ENDS)
        return [
            Ending(label=label, until_seconds=until.get(label), keys=round(keys), bytes=round(n_bytes))
            for label, (keys, n_bytes) in totals.items()
        ]


def _end_of(ttl_ms: int) -> str:
    if ttl_ms < 0:
        return NEVER
    return next((label for label, seconds in ENDS if ttl_ms <= 1000 * seconds), LATER)
