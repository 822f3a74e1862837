"""Hits as values grow: beside GET and `json.loads` by hand, for the values that applications have.

In turns in one process; ratios are medians of those of each round. The data are random syllables, ids and
numbers, which compress as those of a database do: to about a quarter.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
from pydantic import BaseModel, TypeAdapter

from benchmarks.rounds import TimedWork, in_turns_timed
from langcache_cli.caching import Cache, CacheSettings

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
BYTES_A_TURN = 4_000_000
"""A turn is so many bytes of hits, within `MOST_CALLS`."""

FEWEST_CALLS, MOST_CALLS = 6, 300

Table = dict[str, dict[str, float]]

_SYLLABLES = ["ba", "che", "der", "ein", "ge", "lich", "nis", "schaft", "tum", "ung", "ver", "wort", " "]


class Line(BaseModel):
    """A line of subtitles."""

    id: str
    start: float
    end: float
    text: str
    translation: str | None
    level: str | None = None


def text(chance: random.Random, size: int) -> str:
    """So many characters of words that no language has."""
    return "".join(chance.choices(_SYLLABLES, k=size // 2 + 1))[:size]


def rows(chance: random.Random, size: int) -> list[dict[str, Any]]:
    """Lines of subtitles, which are about so many bytes of JSON."""
    return [
        {
            "id": f"{chance.getrandbits(64):016x}",
            "start": round(3.1 * number, 3),
            "end": round(3.1 * number + 2 * chance.random(), 3),
            "text": text(chance, min(size // 3, 60)),
            "translation": text(chance, 56) if size > 100 else None,
            "level": chance.choice(["A1", "A2", "B1", None]),
        }
        for number in range(max(1, size // 225))
    ]


KINDS: dict[str, tuple[Any, Callable[[random.Random, int], Any]]] = {
    "str": (str, text),
    "list of dicts": (list[dict[str, Any]], rows),
    "list of models": (list[Line], lambda chance, size: [Line(**row) for row in rows(chance, size)]),
}
"""What is cached: its annotation, and how to make so many bytes of it."""


def _turn(get: Callable[[], Awaitable[Any]], calls: int) -> TimedWork:
    async def turn() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            await get()
        return (time.perf_counter() - wall) / calls * 1e6, (time.process_time() - cpu) / calls * 1e6

    return turn


async def by_size(url: str, rounds: int) -> dict[str, Table]:
    """Microseconds of a hit and ratios, in CPU time too, and bytes in Redis; a table for each kind."""
    cache = Cache(CacheSettings.load(env_file=None, redis_url=url))
    async with cache, redis.asyncio.from_url(url) as client:
        return {
            f"Hits as values grow: {kind}": {
                f"{size:,} B": await _of_one(cache, client, kind, size, rounds) for size in SIZES
            }
            for kind in KINDS
        }


async def _of_one(
    cache: Cache, client: redis.asyncio.Redis, kind: str, size: int, rounds: int
) -> dict[str, float]:
    annotation, make = KINDS[kind]
    value, adapter = make(random.Random(size), size), TypeAdapter(annotation)
    name = f"sized_{kind.replace(' ', '_')}_{size}"

    async def load() -> Any:
        return value

    load.__annotations__["return"] = annotation
    get = cache.cached(key_prefix=name, ttl=3600)(load)

    async def by_hand() -> Any:
        return json.loads(await client.get(f"by hand:{name}"))

    async def validated() -> Any:
        return adapter.validate_python(await by_hand())

    await client.set(f"by hand:{name}", json.dumps(adapter.dump_python(value, mode="json")))
    assert await get() == await get() == await validated() == value
    calls = min(MOST_CALLS, max(FEWEST_CALLS, BYTES_A_TURN // size))
    works = {"by hand": _turn(by_hand, calls), "langcache": _turn(get, calls)}
    if kind == "list of models":
        works["validated"] = _turn(validated, calls)
    found = await in_turns_timed(works, rounds=rounds)
    ours, theirs = found["langcache"], found["by hand"]
    row = {"langcache, µs": ours["µs"], "redis-py GET + json.loads, µs": theirs["µs"]}
    row |= {"ratio": ours["ratio"], "CPU ratio": ours["CPU ratio"]}
    if "validated" in found:
        row["ratio to json.loads + validate_python"] = ours["ratio"] / found["validated"]["ratio"]
    return row | {
        "bytes in Redis": float(await client.strlen(get.key_for())),
        "bytes by hand": float(await client.strlen(f"by hand:{name}")),
    }
