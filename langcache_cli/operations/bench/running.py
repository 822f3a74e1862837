"""Measure a ladder of paths in one run, in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import without_events
from langcache_cli.operations.bench.host import Host, load_average, versions_of
from langcache_cli.operations.bench.ladder import Ladder, PlainLadder, WordLadder, word_ids
from langcache_cli.operations.bench.latencies import Latencies, Repeat, summarize
from langcache_cli.operations.bench.loops import closed_loop, open_loop
from langcache_cli.operations.bench.path_names import is_hit, origin_of
from langcache_cli.operations.opening import require_answer
from langcache_cli.vocabulary import Database

MOST_PATHS = 20
"""For planning: keys must live longer than the run."""

WARM_UP_SECONDS = 0.1
"""For connections, pools and caches of the operating system; not timed."""


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The latencies of each path, measured in turns, and what they were measured with.

    Attributes:
        paths: By name, quickest first.
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
        """The least of `speedups`; None if there is none."""
        return min(self.speedups.values(), default=None)

    @property
    def speedups(self) -> dict[str, float]:
        """How many times faster the median hit is than the median miss, by the path of the hit.

        For the functions of an application: than running them uncached.
        """
        pairs = {"hit": "miss", **{name: origin_of(name) for name in self.paths if is_hit(name)}}
        found = {quick: self._ratio(slow, quick) for quick, slow in pairs.items()}
        return {name: ratio for name, ratio in found.items() if ratio is not None}

    def _ratio(self, slow: str, quick: str) -> float | None:
        of_slow, of_quick = self.paths.get(slow), self.paths.get(quick)
        if of_slow is None or of_quick is None or not of_slow.count or not of_quick.count:
            return None
        return of_slow.percentiles_ms[50.0] / of_quick.percentiles_ms[50.0]


LadderOf = Callable[[Cache, float], Awaitable[Ladder]]
"""Makes the ladder of a run that is planned to take so many seconds."""


def ladder_about(database: Database | None, paths: Collection[str] = ()) -> LadderOf:
    """The paths of `ladder.PATHS` about the words of a database; None for those that need none.

    Args:
        database: Where the words are.
        paths: Only these; none for all.
    """

    async def made(cache: Cache, planned_seconds: float) -> Ladder:
        if database is None:
            return PlainLadder(cache, planned_seconds=planned_seconds).only(paths)
        await database.keep_statements()
        words = await word_ids(database)
        return WordLadder(cache, database, words, planned_seconds=planned_seconds).only(paths)

    return made


async def bench(
    cache: Cache,
    ladder_of: LadderOf,
    *,
    seconds: float = 0.3,
    concurrency: int = 1,
    repeats: int = 5,
    rate: float | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> BenchReport:
    """Measure the paths, each for ``seconds`` in each of ``repeats`` turns, in random order.

    The keys are its own and are removed at the end; nothing is counted in the application's statistics.

    Args:
        cache: What is measured.
        ladder_of: Makes what is run.
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
    ladder = await ladder_of(cache, MOST_PATHS * (repeats + 1) * seconds)
    order = [*ladder.runs]

    def turn(name: str, length: float) -> Awaitable[Repeat]:
        if rate is None:
            return closed_loop(ladder.runs[name], seconds=length, concurrency=concurrency)
        return open_loop(ladder.runs[name], seconds=length, per_second=rate)

    try:
        await ladder.prepare()
        repeated = await _in_turns(order, repeats, seconds, turn, on_progress)
    finally:
        try:
            await ladder.aclose()
        finally:
            with without_events():
                await cache.invalidate(f"{cache.settings.namespace}:{ladder.prefix}*")
    found = {name: summarize(items) for name, items in repeated.items()}
    versions, host = versions_of(await cache.server_report()), Host.now(load_before)
    return BenchReport(found, concurrency, repeats, seconds, rate, versions, host, begun_at)


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
