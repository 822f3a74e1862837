"""Measure a ladder of paths in one run, in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import without_events
from langcache_cli.operations.bench.host import Host, load_average, versions_of
from langcache_cli.operations.bench.ladder import PATHS, Ladder, PlainLadder, WordLadder, word_ids
from langcache_cli.operations.bench.latencies import Latencies, Repeat, summarize
from langcache_cli.operations.bench.loops import closed_loop, open_loop
from langcache_cli.operations.opening import require_answer
from langcache_cli.vocabulary import Database

WARM_UP_SECONDS = 0.1
"""For connections, pools and caches of the operating system; not timed."""


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The latencies of each path, measured in turns, and what they were measured with.

    Attributes:
        paths: By name, in the order of `PATHS`.
        concurrency: Workers at a time; an open loop has as many as its rate needs.
        repeats: Turns of each path.
        turn_seconds: The length of a turn.
        rate: Runs a second that an open loop was asked for; None for a closed loop.
        versions: Of what took part.
        host: Where it ran, and how busy that was.
        begun_at: Seconds since 1970.
    """

    paths: dict[str, Latencies]
    concurrency: int
    repeats: int
    turn_seconds: float
    rate: float | None
    versions: dict[str, str]
    host: Host
    begun_at: float

    @property
    def speedup(self) -> float | None:
        """How many times faster the median hit is than the median miss; None if either was not measured."""
        hit, miss = self.paths.get("hit"), self.paths.get("miss")
        if hit is None or miss is None or not hit.count or not miss.count:
            return None
        return miss.percentiles_ms[50.0] / hit.percentiles_ms[50.0]


async def bench(
    cache: Cache,
    database: Database | None,
    *,
    paths: Sequence[str] = tuple(PATHS),
    seconds: float = 0.3,
    concurrency: int = 1,
    repeats: int = 5,
    rate: float | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> BenchReport:
    """Measure the paths, each for ``seconds`` in each of ``repeats`` turns, in random order.

    The database may be None if all paths are among `WITHOUT_DATABASE`. The keys are its own and are removed
    at the end; nothing is counted in the application's statistics.

    Args:
        cache: What is measured.
        database: Where the words are.
        paths: Names among `PATHS`.
        seconds: The length of a turn.
        concurrency: Workers of a closed loop.
        repeats: Turns of each path.
        rate: Runs a second of an open loop; None for a closed loop.
        on_progress: Takes how many turns are done, and of how many.

    Raises:
        CacheError: Redis could not be used.
        DatabaseError: The database could not be read.
        EmptyVocabularyError: It holds no words.
    """
    await require_answer(cache)
    begun_at, load_before = time.time(), load_average()
    ladder = await _ladder(cache, database, planned_seconds=len(PATHS) * (repeats + 1) * seconds)
    order = [name for name in PATHS if name in paths]

    def turn(name: str, length: float) -> Awaitable[Repeat]:
        if rate is None:
            return closed_loop(ladder.runs[name], seconds=length, concurrency=concurrency)
        return open_loop(ladder.runs[name], seconds=length, per_second=rate)

    try:
        await ladder.prepare()
        repeated = await _in_turns(order, repeats, seconds, turn, on_progress)
    finally:
        with without_events():
            await cache.invalidate(f"{cache.settings.namespace}:{ladder.prefix}:*")
    found = {name: summarize(items) for name, items in repeated.items()}
    versions, host = versions_of(await cache.server_report()), Host.now(load_before)
    return BenchReport(found, concurrency, repeats, seconds, rate, versions, host, begun_at)


async def _ladder(cache: Cache, database: Database | None, *, planned_seconds: float) -> Ladder:
    if database is None:
        return PlainLadder(cache, planned_seconds=planned_seconds)
    await database.keep_statements()
    return WordLadder(cache, database, await word_ids(database), planned_seconds=planned_seconds)


async def _in_turns(
    order: Sequence[str],
    repeats: int,
    seconds: float,
    turn: Callable[[str, float], Awaitable[Repeat]],
    on_progress: Callable[[int, int], None],
) -> dict[str, list[Repeat]]:
    repeated: dict[str, list[Repeat]] = {name: [] for name in order}
    turns = [name for _ in range(repeats) for name in random.sample(order, len(order))]
    for name in order:
        await turn(name, min(seconds, WARM_UP_SECONDS))
    began = time.perf_counter()
    for done, name in enumerate(turns):
        on_progress(done, len(turns))
        begun_at = time.perf_counter() - began
        repeat = await turn(name, seconds)
        repeat.begun_at = begun_at
        repeated[name].append(repeat)
    on_progress(len(turns), len(turns))
    return repeated
