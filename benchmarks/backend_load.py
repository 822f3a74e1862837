"""The example backend under simulated users, with the cache off and on: `python -m benchmarks.backend_load`.

Real uvicorn workers over a real PostgreSQL and Redis, started here. The database and the translation service
are as far away as they are in production: a statement takes 45 ms, a translation 150 ms. What users ask for
is distributed like words in a language (Zipf): few things very often, most things rarely. The first part of
each run is not counted: it fills the cache, and the connection pools.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.harness.postgres import PostgresServer
from tests.harness.redis_server import RedisServer
from tests.harness.web import uvicorn

WORKERS = 2
USERS = 500
WORDS = 1000
TEXTS = 300
ZIPF = 1.1
DATABASE_SECONDS = 0.045
TRANSLATION_SECONDS = 0.15
ADMIN = {"Authorization": "Bearer let-me-edit"}


class Zipf:
    """Numbers from 0: the n-th as often as n to the power of -ZIPF."""

    def __init__(self, size: int, chance: random.Random) -> None:
        self._chance = chance
        self._sums = list(itertools.accumulate(1 / (rank + 1) ** ZIPF for rank in range(size)))

    def __call__(self) -> int:
        """The next one."""
        return bisect.bisect_left(self._sums, self._chance.random() * self._sums[-1])


@dataclass
class Result:
    """What one run has shown."""

    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    statements: int = 0
    connections: int = 0
    translations: int = 0
    types: dict[str, Any] = field(default_factory=dict)

    def percentile(self, percent: int) -> float:
        """Of the latencies, in milliseconds."""
        return statistics.quantiles(self.latencies_ms, n=1000, method="inclusive")[percent * 10 - 1]

    @property
    def failed(self) -> int:
        """Answers that were none, and errors of the application."""
        return sum(count for status, count in self.answers.items() if status == 0 or status >= 500)

    @property
    def hit_rate(self) -> float | None:
        """Hits of all calls of cached functions."""
        hits, misses = (sum(kind[name] for kind in self.types.values()) for name in ("hits", "misses"))
        return hits / (hits + misses) if hits + misses else None


class Users:
    """Simulated users: each does one thing after the other, with a short pause."""

    def __init__(self, url: str, *, count: int, seed: int, pause_seconds: float = 0.05) -> None:
        self._url = url
        self._count = count
        self._longest_pause = pause_seconds
        self._chance = random.Random(seed)
        self._user, self._word, self._text = (Zipf(size, self._chance) for size in (USERS, WORDS, TEXTS))

    async def run(self, seconds: float, *, midway: Callable[[], Any] = lambda: None) -> Result:
        """Go on for so long; ``midway`` is called at half time."""
        result = Result(seconds)
        ends = time.monotonic() + seconds
        limits = httpx.Limits(max_connections=self._count)
        async with httpx.AsyncClient(base_url=self._url, limits=limits, timeout=30) as client:
            users = [asyncio.create_task(self._go_on(client, result, ends)) for _ in range(self._count)]
            await asyncio.sleep(seconds / 2)
            await asyncio.to_thread(midway)
            await asyncio.gather(*users)
        return result

    async def _go_on(self, client: httpx.AsyncClient, result: Result, ends: float) -> None:
        while time.monotonic() < ends:
            kind, method, path = self._action()
            started = time.perf_counter()
            try:
                status = (await client.request(method, path)).status_code
            except httpx.HTTPError:
                status = 0
            result.latencies_ms.append(1000 * (time.perf_counter() - started))
            result.answers[status] += 1
            result.asked[kind] += 1
            await asyncio.sleep(self._chance.random() * self._longest_pause)

    def _action(self) -> tuple[str, str, str]:
        throw = self._chance.random()
        if throw < 0.50:
            return "word", "GET", f"/vocabulary/{self._word() + 1}"
        if throw < 0.60:
            return "level", "GET", f"/vocabulary/level/{self._chance.choice(('A1', 'A2', 'B1'))}?limit=50"
        if throw < 0.80:
            return "translation", "GET", f"/translate?text=der+Text+{self._text()}"
        if throw < 0.99:
            return "stats", "GET", f"/users/{self._user()}/stats"
        return "mark known", "POST", f"/users/{self._user()}/known/{self._word() + 1}"


@contextmanager
def backend(redis: RedisServer, database: str, *, cached: bool) -> Iterator[str]:
    """The URL of the running application."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "REDIS_URL": redis.url,
            "REDIS_ENABLED": str(cached),
            "DATABASE_URL": database,
            "BACKEND_FOLDER": folder,
            "BACKEND_DATABASE_DELAY": str(DATABASE_SECONDS),
            "BACKEND_TRANSLATION_DELAY": str(TRANSLATION_SECONDS),
            "BACKEND_TRANSLATIONS_PER_MINUTE": "1000000",
            "LANGCACHE_STATS_FLUSH_SECONDS": "0.5",
        }
        with uvicorn("examples.backend.app:app", workers=WORKERS, env=environment) as url:
            yield url


def measure(
    postgres: PostgresServer, redis: RedisServer, *, cached: bool, options: argparse.Namespace
) -> Result:
    """One run on a fresh database and an empty cache."""
    url = postgres.create_database()
    name = url.rpartition("/")[2]
    redis.flush()

    def restart_redis() -> None:
        if cached and options.kill_redis:
            redis.kill()
            time.sleep(options.kill_redis)
            redis.start()

    with backend(redis, url, cached=cached) as application:
        users = Users(application, count=options.users, seed=options.seed)
        asyncio.run(users.run(options.warm_up))
        statements, translations = _statements(postgres, name), _translations(application)
        result = asyncio.run(users.run(options.seconds, midway=restart_redis))
        result.connections = int(
            postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
        )
        result.translations = _translations(application) - translations
        if cached:
            time.sleep(1)  # the workers deliver their counters twice a second
            result.types = httpx.get(f"{application}/health/cache").json()["stats"]["types"]
        result.statements = _statements(postgres, name) - statements
    postgres.drop_database(url)
    return result


def _statements(postgres: PostgresServer, name: str) -> int:
    time.sleep(1.5)  # PostgreSQL's statistics are up to a second behind
    return int(
        postgres.execute(f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{name}'")
    )


def _translations(url: str) -> int:
    """Calls of the service by all workers, asked over new connections until each has answered."""
    seen: dict[int, int] = {}
    for _ in range(100):
        answer = httpx.get(f"{url}/translate/calls").json()
        seen[answer["worker"]] = answer["calls"]
        if len(seen) == WORKERS:
            break
    return sum(seen.values())


def table(off: Result, on: Result) -> str:
    """Both results, as Markdown."""
    rows = [
        ("requests", f"{len(off.latencies_ms):,}", f"{len(on.latencies_ms):,}"),
        *((f"p{p}", f"{off.percentile(p):.1f} ms", f"{on.percentile(p):.1f} ms") for p in (50, 95, 99)),
        ("transactions in PostgreSQL per 1,000 requests", _per(off.statements, off), _per(on.statements, on)),
        ("translation calls per 1,000 translations", _of(off), _of(on)),
        ("open database connections", str(off.connections), str(on.connections)),
        ("hit rate", "-", f"{100 * (on.hit_rate or 0):.1f} %"),
        *((f"hit rate of {name}", "-", f"{100 * kind['hit_rate']:.1f} %") for name, kind in on.types.items()),
        ("failed requests", str(off.failed), str(on.failed)),
    ]
    lines = ["| | cache off | cache on |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _per(count: int, result: Result) -> str:
    return f"{1000 * count / len(result.latencies_ms):,.0f}"


def _of(result: Result) -> str:
    return f"{1000 * result.translations / max(1, result.asked['translation']):,.0f}"


def main() -> None:
    """Run both, print the table, and the result as JSON if that is wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backend_load", description=__doc__)
    parser.add_argument("--users", type=int, default=10, help="at the same time")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each of the two runs")
    parser.add_argument("--warm-up", type=float, default=30.0, metavar="SECONDS", help="not counted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kill-redis", type=float, default=0.0, metavar="SECONDS", help="at half time, and start it again"
    )
    parser.add_argument("--json", type=Path, help="write the results there as well")
    options = parser.parse_args()
    with PostgresServer() as postgres, RedisServer() as redis:
        results = [measure(postgres, redis, cached=cached, options=options) for cached in (False, True)]
    sys.stdout.write(table(*results) + "\n")
    if options.json:
        kept = [{**vars(result), "latencies_ms": None} for result in results]
        options.json.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
