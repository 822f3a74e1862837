"""Everything side by side, in one process and one run; and two recorded runs side by side.

    python -m benchmarks [--rounds N] [--only SECTION ...] [--out NAME] [--record]
    python -m benchmarks compare A.json B.json

Prints Markdown. `--out` writes it and a JSON document to NAME.md and NAME.json, `--record` the document to
`benchmarks/results/<date>-<commit>.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any

from benchmarks import (
    batches,
    bulk,
    comparison,
    counters,
    growth,
    memory,
    misses,
    outage,
    overview,
    reads,
    recording,
    routes,
    sizes,
    startup,
    sync_code,
    values,
)
from benchmarks.rounds import Measured
from tests.harness.postgres import PostgresServer
from tests.harness.redis_server import RedisServer

Tables = dict[str, Any]


async def _reads(rounds: int) -> Tables:
    with RedisServer() as server:
        one = await reads.one_after_another(server.url, rounds)
        many, p99 = await reads.many_tasks(server.url, rounds)
        return {
            "One hit after another, µs": one,
            "100 tasks, hits a second": many,
            "100 tasks, p99 of a hit, ms": p99,
            "Hit in memory, µs": await reads.from_memory(server.url, rounds),
        }


async def _batches(rounds: int) -> Tables:
    with RedisServer() as server:
        found: Tables = dict(await batches.side_by_side(server.url, rounds))
    with RedisServer() as server:
        return found | await misses.side_by_side(server.url, rounds)


async def _outage(_rounds: int) -> Tables:
    with RedisServer() as server:
        lag = await outage.lag_ms(server)
    return {
        "A change seen by another process' memory, ms": lag,
        "Redis down, added to a call, ms": await outage.added_latency_ms(),
    }


async def _bulk(rounds: int) -> Tables:
    with RedisServer() as server, PostgresServer() as postgres:
        url = postgres.create_database("words")
        return {
            "Warm 100,000 words, words a second": await bulk.warming(server.url, url, rounds),
            "Clear 200,000 of 400,000 keys, keys a second": await bulk.clearing(server.url, rounds),
            "GET by another process, p99, ms": await bulk.reader_p99_ms(server, url),
            "Memory of langcache warm, MB": await memory.warm_mb(url),
        }


async def _startup(rounds: int) -> Tables:
    with RedisServer() as server:
        light, heavy = await startup.startup(server.url, rounds)
    return {"Help and version, ms": light, "Check and stats, ms": heavy}


async def _growth(_rounds: int) -> Tables:
    found: Tables = {}
    with RedisServer() as server:
        found["Hits as keys grow"] = await growth.by_keys(server.url)
    with RedisServer() as server:
        found["Hits a second as tasks grow"] = await growth.by_tasks(server.url)
        found["Hits as tags grow"] = await growth.by_tags(server.url)
    return found


async def _sizes(rounds: int) -> Tables:
    with RedisServer() as server:
        return dict(await sizes.by_size(server.url, rounds))


async def _values(rounds: int) -> Tables:
    with RedisServer() as server:
        return {
            "Encoding and decoding values": await values.encoding(rounds),
            "Storing a value, ms of CPU": await values.storing(server.url, rounds),
            "How long a large value holds the event loop": await values.holding(server.url),
        }


async def _counters(_rounds: int) -> Tables:
    with RedisServer() as server:
        return {"Counters of busy functions": await counters.by_functions(server.url)}


async def _routes(rounds: int) -> Tables:
    with RedisServer() as server:
        return {"A page of 250 words, one uvicorn worker": await routes.under_load(server.url, rounds)}


async def _overview(_rounds: int) -> Tables:
    with RedisServer() as server:
        return {"A refresh of the dashboard": await overview.by_keys(server.url)}


async def _sync(rounds: int) -> Tables:
    with RedisServer() as server:
        found: Tables = dict(await sync_code.by_threads(server.url, rounds))
        return found | {"A synchronous miss": await sync_code.misses(server.url, rounds)}


SECTIONS: dict[str, Callable[[int], Awaitable[Tables]]] = {
    "reads": _reads,
    "batches": _batches,
    "outage": _outage,
    "bulk": _bulk,
    "startup": _startup,
    "growth": _growth,
    "sizes": _sizes,
    "values": _values,
    "counters": _counters,
    "overview": _overview,
    "routes": _routes,
    "sync": _sync,
}


async def measure(sections: Sequence[str], rounds: int) -> Tables:
    """The tables of some sections, each on servers of its own."""
    found: Tables = {}
    for name in sections:
        found |= await SECTIONS[name](rounds)
    return found


def markdown(found: Mapping[str, Any], about: Mapping[str, str], rounds: int) -> str:
    """A table for each section."""
    lines = [", ".join(f"{name} {value}" for name, value in about.items()) + f"; {rounds} rounds.", ""]
    for title, section in found.items():
        lines += [f"### {title}", ""]
        if all(isinstance(value, Measured) for value in section.values()):
            lines += ["| | median | lowest | highest | ratio |", "|---|---:|---:|---:|---:|"]
            lines += [
                f"| {name} | {' | '.join(map(_number, (one.median, one.low, one.high)))} | {one.ratio:.2f} |"
                for name, one in section.items()
            ]
        elif all(isinstance(value, dict) for value in section.values()):
            columns = next(iter(section.values()))
            lines += [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
            lines += [
                f"| {name} | {' | '.join(starmap(_cell, row.items()))} |" for name, row in section.items()
            ]
        else:
            lines += ["| | |", "|---|---:|"]
            lines += [f"| {name} | {value:.3f} |" for name, value in section.items()]
        lines.append("")
    return "\n".join(lines)


def _cell(column: str, value: float) -> str:
    return f"{value:.2f}" if "ratio" in column else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def main() -> None:
    """Measure, print, write; or compare."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--out", type=Path, help="write NAME.md and NAME.json", metavar="NAME")
    parser.add_argument("--record", action="store_true", help=f"write to {recording.RESULTS.name}/ as well")
    commands = parser.add_subparsers(dest="command", title="or", metavar="compare")
    compare = commands.add_parser("compare", help="print the ratios of two recorded runs")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "compare":
        before, after = (json.loads(path.read_text("utf-8")) for path in (arguments.before, arguments.after))
        print(comparison.markdown(before, after))
    else:
        _measure(arguments)


def _measure(arguments: argparse.Namespace) -> None:
    about = recording.machine()  # before: the load is that of others
    found = asyncio.run(measure(arguments.only, arguments.rounds))
    text, document = (
        markdown(found, about, arguments.rounds),
        recording.document(found, about, arguments.rounds),
    )
    print(text)
    if arguments.out is not None:
        arguments.out.with_suffix(".md").write_text(text, "utf-8")
        arguments.out.with_suffix(".json").write_text(json.dumps(document, indent=2), "utf-8")
    if arguments.record:
        print(f"recorded in {recording.record(document)}")


if __name__ == "__main__":
    main()
