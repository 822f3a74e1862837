"""What is in the database: every key while they are few, a sample of many."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from typing_extensions import TypedDict

from langcache_cli.caching import Cache, CacheError, ServerReplyError
from langcache_cli.operations.overview.document import BigKey, Ending, Keyspace, OtherKeys
from langcache_cli.operations.overview.key_text import readable

EXACT_BELOW = 5_000
"""Databases with fewer keys are counted; of others so many keys are looked at."""

KEYS_PER_SCAN = 500
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


class _KeyCounts(TypedDict):
    keys: int
    keys_error: float
    bytes: int
    bytes_error: float


@dataclass(slots=True)
class Census:
    """The keys that were looked at, and what follows for all.

    Attributes:
        database_keys: How many there are.
        seen: Those that were looked at. ``type`` is empty for keys outside the namespace.
        exact: True if these are all.
        problem: Why no sizes are known; empty if they are.
        types: The sizes seen of each type.
    """

    database_keys: int
    seen: list[SeenKey] = field(default_factory=list)
    exact: bool = True
    problem: str = ""
    types: dict[str, list[int]] = field(default_factory=dict)

    def add(self, found: Iterator[SeenKey]) -> None:
        """Take note of some keys."""
        for one in found:
            self.seen.append(one)
            self.types.setdefault(one.type, []).append(one.bytes)

    def of_type(self, name: str) -> _KeyCounts:
        """Keys and bytes of a type, with half of a 95 % interval."""
        sizes = self.types.get(name, [])
        looked_at = len(self.seen)
        if self.exact or not looked_at:
            return _KeyCounts(keys=len(sizes), keys_error=0.0, bytes=sum(sizes), bytes_error=0.0)
        scale = self.database_keys / looked_at
        share = len(sizes) / looked_at
        mean = sum(sizes) / looked_at
        variance = sum(size * size for size in sizes) / looked_at - mean * mean
        wide = HALF_OF_95_PERCENT * self.database_keys / math.sqrt(looked_at)
        return _KeyCounts(
            keys=round(scale * len(sizes)),
            keys_error=round(wide * math.sqrt(share * (1 - share)), 1),
            bytes=round(scale * sum(sizes)),
            bytes_error=round(wide * math.sqrt(max(0.0, variance)), 1),
        )

    def biggest(self) -> list[BigKey]:
        """The largest entries among those that were looked at."""
        entries = sorted((one for one in self.seen if one.type and one.bytes), key=lambda one: -one.bytes)
        return [BigKey(key=readable(one.key), type=one.type, bytes=one.bytes) for one in entries[:BIGGEST]]

    def keyspace(self) -> Keyspace:
        """As part of the document."""
        other = self.of_type(OTHERS)
        return Keyspace(
            exact=self.exact,
            sampled=len(self.seen),
            database_keys=self.database_keys,
            other=OtherKeys(keys=other["keys"], bytes=other["bytes"], bytes_error=other["bytes_error"]),
            ends=self._ends(),
            problem=self.problem,
        )

    def _ends(self) -> list[Ending]:
        scale = 1.0 if self.exact or not self.seen else self.database_keys / len(self.seen)
        parts: dict[str, list[SeenKey]] = {label: [] for label in (*dict(ENDS), LATER, NEVER)}
        for one in self.seen:
            if one.type:
                parts[_end_of(one.ttl_ms)].append(one)
        until = dict[str, int | None](ENDS)
        return [
            Ending(
                label=label,
                until_seconds=until.get(label),
                keys=round(scale * len(keys)),
                bytes=round(scale * sum(one.bytes for one in keys)),
            )
            for label, keys in parts.items()
        ]


def _end_of(ttl_ms: int) -> str:
    if ttl_ms < 0:
        return NEVER
    return next((label for label, seconds in ENDS if ttl_ms <= 1000 * seconds), LATER)


async def census(cache: Cache, database_keys: int) -> Census:
    """Look at the keys of the database.

    Raises:
        CacheError: Redis did not answer, or does not allow SCAN.
    """
    result = Census(database_keys)
    nodes = await cache.runtime().server.nodes()
    for node in nodes:
        cursor, left = b"0", EXACT_BELOW / len(nodes)
        seen = set[bytes]()  # SCAN may return a key twice
        while left > 0:
            try:
                cursor, keys = await node.call("SCAN", cursor, "COUNT", KEYS_PER_SCAN)
            except ServerReplyError as error:
                result.problem, result.exact = str(error), False
                return result
            new = [key for key in dict.fromkeys(keys) if key not in seen]
            seen.update(new)
            left -= len(new)
            if new:
                result.add(await _looked_at(cache, node, new, result))
            if cursor == b"0":
                break
        result.exact = result.exact and cursor == b"0"
    if result.exact:
        result.database_keys = len(result.seen)
    return result


async def _looked_at(cache: Cache, node: Any, keys: Sequence[bytes], result: Census) -> Iterator[SeenKey]:
    sizes = await node.call_many([("MEMORY", "USAGE", key) for key in keys])
    ends = await node.call_many([("PTTL", key) for key in keys])
    refused = next((reply for reply in sizes if isinstance(reply, CacheError)), None)
    if refused is not None:
        result.problem = str(refused)
    return (
        SeenKey(key, type_of(cache, key), _number(end, -1), _number(size, 0))
        for key, size, end in zip(keys, sizes, ends, strict=True)
        if end != -2  # noqa: PLR2004 - it ended meanwhile
    )


def type_of(cache: Cache, key: bytes) -> str:
    """The cache type of a key; empty if it is outside the namespace."""
    start = f"{cache.settings.namespace}:".encode()
    if not key.startswith(start):
        return OTHERS
    prefix = key[len(start) :].split(b":", 1)[0].decode("utf-8", "backslashreplace")
    return cache.settings.types.of_prefix(prefix).name


def _number(reply: object, otherwise: int) -> int:
    return reply if isinstance(reply, int) else otherwise
