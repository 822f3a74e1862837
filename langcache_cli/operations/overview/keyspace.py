"""Looking at the keys of a database: at every one while they are few, at random ones of many."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from langcache_cli.caching import Cache, CacheError, ServerReplyError
from langcache_cli.caching.tooling import Node
from langcache_cli.operations.overview.census import OTHERS, OWN, Census, Sample, SeenKey

EXACT_BELOW = 5_000
"""Databases with fewer keys are counted."""

COUNTED_AGAIN_SECONDS = 30.0
KEYS_PER_SECOND = 500
"""Keys are counted anew after 30 s; sooner if there are more or fewer, but so many a second at most."""

KEYS_PER_SCAN = 250

DRAWS = 300
"""Keys that are drawn at each look."""

FIRST_DRAWS = 3_000
"""At the first one, so that it says something."""

LEAST_DRAWS = 10
"""From each node, however few keys it has."""

KEPT_DRAWS = 5_000
KEPT_SECONDS = 900.0
"""Draws are kept for later looks, so many in all and so long: adding them up takes a few milliseconds."""

ENDED = -2
"""The reply to ``PTTL`` for a key that is gone."""


class _Draw(NamedTuple):
    at: float
    key: SeenKey


class KeyspaceWatch:
    """Looks at the keys of one cache's database again and again; what it draws at random adds up."""

    def __init__(
        self,
        cache: Cache,
        *,
        first_draws: int = FIRST_DRAWS,
        always_exact: bool = False,
        sizes: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at nothing yet.

        Args:
            cache: The cache.
            first_draws: Keys to draw at the first look at a large database.
            always_exact: Look at every key, however many there are.
            sizes: Ask how large they are; otherwise 0.
            clock: The time in seconds.
        """
        self._cache = cache
        self._first_draws = first_draws
        self._always_exact = always_exact
        self._sizes = sizes
        self._clock = clock
        self._draws: dict[str, deque[_Draw]] = {}
        """By node."""
        self._counted: tuple[float, int, Census] | None = None
        """When, how many keys there were, and what was seen."""

    async def look(self) -> Census:
        """What is in the database; of a cluster of which nodes are away, what the others have.

        Raises:
            CacheError: Redis did not answer.
        """
        sizes: dict[Node, int] = {}
        try:
            sizes, lost = await self._cache.runtime().server.ask_nodes(lambda node: node.call("DBSIZE"))
            if self._always_exact or sum(sizes.values()) < EXACT_BELOW:
                census = await self._exact(tuple(sizes), sum(sizes.values()))
            else:
                self._counted = None
                census = await self._sampled(sizes)
        except ServerReplyError as error:  # a missing right, or a service without the command
            return Census([Sample(size, []) for size in sizes.values()], exact=False, problem=str(error))
        if lost is not None:
            names = " and ".join(lost.lost_nodes)
            return Census(census.samples, exact=census.exact, problem=f"Without the keys of {names}.")
        return census

    def forget(self) -> None:
        """Keys were removed: count anew at the next look."""
        self._counted = None
        self._draws.clear()

    async def _exact(self, nodes: Sequence[Node], n_keys: int) -> Census:
        if self._counted is not None:
            at, n_before, before = self._counted
            kept_seconds = min(n_keys / KEYS_PER_SECOND, COUNTED_AGAIN_SECONDS)
            if self._clock() - at < (COUNTED_AGAIN_SECONDS if n_keys == n_before else kept_seconds):
                return before
        problem, samples = "", []
        for node in nodes:
            seen, cursor = dict[bytes, SeenKey](), b""
            while cursor != b"0":
                cursor, keys = await node.call("SCAN", cursor or b"0", "COUNT", KEYS_PER_SCAN)
                new = [key for key in dict.fromkeys(keys) if key not in seen]  # SCAN may return a key twice
                found, refused = await self._looked_at(node, new)
                seen.update((one.key, one) for one in found)
                problem = problem or refused
            samples.append(Sample(len(seen), list(seen.values())))
        census = Census(samples, exact=True, problem=problem)
        self._counted = self._clock(), n_keys, census
        return census

    async def _sampled(self, sizes: Mapping[Node, int]) -> Census:
        problem, samples, all_keys = "", [], sum(sizes.values())
        names = [str(node.address) for node in sizes]
        self._draws = {name: draws for name, draws in self._draws.items() if name in names}
        for node, size in sizes.items():
            draws = self._draws.setdefault(str(node.address), deque(maxlen=KEPT_DRAWS // len(sizes)))
            wanted = max(round((DRAWS if draws else self._first_draws) * size / all_keys), LEAST_DRAWS)
            for first in range(0, wanted, DRAWS):
                found, refused = await self._drawn(node, min(DRAWS, wanted - first))
                draws.extend(_Draw(self._clock(), one) for one in found)
                problem = problem or refused
            while draws and self._clock() - draws[0].at > KEPT_SECONDS:
                draws.popleft()
            samples.append(Sample(size, [draw.key for draw in draws]))
        return Census(samples, exact=False, problem=problem)

    async def _drawn(self, node: Node, count: int) -> tuple[list[SeenKey], str]:
        replies = await node.call_many([("RANDOMKEY",)] * count)
        for reply in replies[:1]:
            if isinstance(reply, ServerReplyError):
                raise reply
        return await self._looked_at(node, [key for key in replies if isinstance(key, bytes)])

    async def _looked_at(self, node: Node, keys: Sequence[bytes]) -> tuple[list[SeenKey], str]:
        """The keys, and why the size of some of the cache's own is not known."""
        questions = [("MEMORY", "USAGE", key) for key in keys] if self._sizes else []
        replies = await node.call_many([*[("PTTL", key) for key in keys], *questions])
        ends, sizes = replies[: len(keys)], replies[len(keys) :] or [0] * len(keys)
        seen = list(self._seen(keys, sizes, ends))
        refused = [pair for pair in zip(keys, sizes, strict=True) if isinstance(pair[1], CacheError)]
        return seen, next((str(size) for key, size in refused if type_of(self._cache, key) != OTHERS), "")

    def _seen(
        self, keys: Sequence[bytes], sizes: Sequence[object], ends: Sequence[object]
    ) -> Iterator[SeenKey]:
        for key, size, end in zip(keys, sizes, ends, strict=True):
            if end != ENDED:
                yield SeenKey(key, type_of(self._cache, key), _number(end, -1), _number(size, 0))


def type_of(cache: Cache, key: bytes) -> str:
    """The cache type of a key; `OWN` or `OTHERS` if it is no entry of the namespace."""
    namespace = cache.settings.namespace
    start = f"{namespace}:".encode()
    if not key.startswith(start):
        return OWN if key.startswith(f"{namespace}@".encode()) else OTHERS
    prefix = key[len(start) :].split(b":", 1)[0].decode("utf-8", "backslashreplace")
    return cache.settings.types.of_prefix(prefix).name


def _number(reply: object, otherwise: int) -> int:
    return reply if isinstance(reply, int) else otherwise
