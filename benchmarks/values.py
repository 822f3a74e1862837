"""What values cost: encoded and proven, decoded, and stored; and how long a large one holds the event loop.

Ratios of CPU time of this process, in turns: other processes and the server do not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, get_type_hints

import redis.asyncio
from pydantic import TypeAdapter, create_model

from benchmarks.rounds import Measured, in_turns
from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.caching._values.codec import Codec

KILOBYTES = (100, 1000)
REPEATS = 5
HELD_ITEMS = 100_000

Table = dict[str, dict[str, float]]


@dataclasses.dataclass
class Word:
    """A row."""

    id: int
    text: str
    lemma: str
    language: str
    level: str | None
    rank: int | None
    note: str | None = None


WordModel = create_model(
    "WordModel",
    __doc__="The same as a model.",
    **{name: (annotation, getattr(Word, name, ...)) for name, annotation in get_type_hints(Word).items()},
)


def _row(number: int) -> dict[str, Any]:
    text = f"Beispielwort{number}"
    return {
        "id": number,
        "text": text,
        "lemma": text.lower(),
        "language": "de",
        "level": "A1",
        "rank": number,
    }


Maker = Callable[[int], Any]
"""Makes a value of so many kilobytes of JSON, about."""

KINDS: dict[str, tuple[Any, Maker]] = {
    "str": (str, lambda kilobytes: "Haus und Hof, " * (kilobytes * 71)),
    "dict of plain": (dict[str, int], lambda kilobytes: {f"Wort {n}": n for n in range(kilobytes * 58)}),
    "dict[str, Any]": (
        dict[str, Any],
        lambda kilobytes: {"rows": [_row(n) for n in range(kilobytes * 9)], "total": kilobytes * 9},
    ),
    "list of dataclasses": (
        list[Word],
        lambda kilobytes: [Word(**_row(number)) for number in range(kilobytes * 8)],
    ),
    "list of models": (
        list[WordModel],
        lambda kilobytes: [WordModel(**_row(number)) for number in range(kilobytes * 9)],
    ),
}


async def _cpu_ms(act: Callable[[], Any]) -> float:
    """Milliseconds of CPU without garbage collector, the least of some repeats; ``act`` may be async."""
    found = []
    gc.collect()
    gc.disable()
    for _ in range(REPEATS):
        started = time.process_time()
        result = act()
        if asyncio.iscoroutine(result):
            await result
        found.append((time.process_time() - started) * 1e3)
    gc.enable()
    return min(found)


def _encoding(codec: Codec, value: Any) -> Callable[[], Any]:
    return lambda: codec.encode_large(value) if codec.is_large(value) else codec.encode(value)


async def encoding(rounds: int) -> Table:
    """Encoding and proving as a ratio to `json.dumps` of the same data, and to `to_json` of pydantic."""
    table: Table = {}
    for kilobytes in KILOBYTES:
        for name, (annotation, make) in KINDS.items():
            value, codec, adapter = make(kilobytes), Codec(annotation), TypeAdapter(annotation)
            plain = adapter.dump_python(value, mode="json")
            found = await in_turns(
                {
                    "json.dumps": lambda plain=plain: _cpu_ms(lambda: json.dumps(plain)),
                    "to_json": lambda a=adapter, v=value: _cpu_ms(lambda: a.dump_json(v)),
                    "langcache": lambda c=codec, v=value: _cpu_ms(_encoding(c, v)),
                },
                rounds=rounds,
            )
            stored = await codec.encode_large(value) if codec.is_large(value) else codec.encode(value)
            decoded = await in_turns(
                {
                    "json.loads": lambda s=stored: _cpu_ms(lambda: json.loads(s)),
                    "langcache": lambda c=codec, s=stored: _cpu_ms(lambda: c.decode_stored(s, "")),
                },
                rounds=rounds,
            )
            ours = found["langcache"].median
            table[f"{name}, {kilobytes:,} KB"] = {
                "encode and prove, ms": ours,
                "to json.dumps": found["langcache"].ratio,
                "to to_json": ours / found["to_json"].median,
                "decode, ms": decoded["langcache"].median,
                "to json.loads": decoded["langcache"].ratio,
            }
    return table


async def storing(url: str, rounds: int) -> dict[str, Measured]:
    """Milliseconds of CPU of ``cache.set``, and of SET and `json.dumps` by hand."""
    found: dict[str, Measured] = {}
    settings = {"env_file": None, "redis_url": url, "operation_timeout": 10.0}
    plain = Cache(CacheSettings.load(**settings, compress_bytes=0))  # type: ignore[arg-type]
    compressing = Cache(CacheSettings.load(**settings))  # type: ignore[arg-type]
    async with plain, compressing, redis.asyncio.from_url(url) as client:
        for kilobytes in KILOBYTES:
            _, make = KINDS["dict[str, Any]"]
            value = make(kilobytes)
            one = await in_turns(
                {
                    "redis-py SET + json.dumps": lambda v=value: _cpu_ms(
                        lambda: client.set("raw", json.dumps(v), px=60_000)
                    ),
                    "cache.set, uncompressed": lambda v=value: _cpu_ms(lambda: plain.set("quiz:1", v)),
                    "cache.set": lambda v=value: _cpu_ms(lambda: compressing.set("quiz:2", v)),
                },
                rounds=rounds,
            )
            found |= {f"{name}, {kilobytes:,} KB": measured for name, measured in one.items()}
    return found


@contextlib.asynccontextmanager
async def _gaps() -> AsyncIterator[list[float]]:
    """Milliseconds of CPU between two turns of the event loop, one after another."""
    gaps: list[float] = []

    async def beat() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append((now - last) * 1e3)
            last = now

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    yield gaps
    beating.cancel()


async def holding(url: str, items: int = HELD_ITEMS) -> Table:
    """The longest time in which the event loop could run nothing else, in ms of CPU; for many models.

    With the garbage collector and without: that looks through all objects of the process, and so holds the
    loop by itself wherever many objects are made.
    """
    async with Cache(CacheSettings.load(env_file=None, redis_url=url, operation_timeout=30.0)) as cache:
        values, table = [WordModel(**_row(number)) for number in range(items)], {}

        @cache.cached(key_prefix="quiz", ttl=3600)
        async def words() -> list[WordModel]:
            return values

        for note in ("", ", with the garbage collector"):
            (gc.enable if note else gc.disable)()
            await words.invalidate()
            for name in ("miss", "hit"):
                async with _gaps() as gaps:
                    started = time.thread_time()
                    kept = await words()
                    seconds = time.thread_time() - started
                    await asyncio.sleep(0)  # counts this turn, too
                    longest = max(gaps)  # before the value is freed, which takes as long as it takes
                assert len(kept) == items
                del kept
                table[name + note] = {"longest turn, ms": longest, "CPU in all, ms": seconds * 1e3}
            gc.collect()
        codec = Codec(list[WordModel])
        payload = codec.encode(values)
        for name, act in {
            "encoding at once": lambda: codec.encode(values),
            "decoding at once": lambda: codec.decode(payload),
        }.items():
            milliseconds = await _cpu_ms(act)
            table[name] = {"longest turn, ms": milliseconds, "CPU in all, ms": milliseconds}
        return table
