"""`python -m benchmarks [--rounds N] [--out NAME]`: everything side by side, in one process and one run.

Prints Markdown, and writes it and a JSON document to NAME.md and NAME.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import bulk, growth, memory, outage, reads, startup
from benchmarks.rounds import Measured
from tests.harness.postgres import PostgresServer
from tests.harness.redis_server import RedisServer

LIBRARIES = (
    "redis",
    "hiredis",
    "pydantic",
    "sqlalchemy",
    "aiocache",
    "cashews",
    "fastapi-cache2",
    "dogpile.cache",
)


async def measure(rounds: int) -> dict[str, Any]:
    """All sections, each on servers of its own."""
    found: dict[str, Any] = {}
    with RedisServer() as server:
        found["One hit after another, µs"] = await reads.one_after_another(server.url, rounds)
        found["100 tasks, hits a second"], p99 = await reads.many_tasks(server.url, rounds)
        found["100 tasks, p99 of a hit, ms"] = p99
        found["Hit in memory, µs"] = await reads.from_memory(server.url, rounds)
        found["A change seen by another process' memory, ms"] = await outage.lag_ms(server)
    found["Redis down, added to a call, ms"] = await outage.added_latency_ms()
    with RedisServer() as server, PostgresServer() as postgres:
        url = postgres.create_database("words")
        found["Warm 100,000 words, words a second"] = await bulk.warming(server.url, url, rounds)
        found["Clear 200,000 of 400,000 keys, keys a second"] = await bulk.clearing(server.url, rounds)
        found["GET by another process, p99, ms"] = await bulk.reader_p99_ms(server, url)
        found["Memory of langcache warm, MB"] = await memory.warm_mb(url)
    with RedisServer() as server:
        found["Help and version, ms"], found["Check and stats, ms"] = await startup.startup(
            server.url, rounds
        )
        found["Hits as keys grow"] = await growth.by_keys(server.url)
    with RedisServer() as server:
        found["Hits a second as tasks grow"] = await growth.by_tasks(server.url)
        found["Hits as values grow"] = await growth.by_size(server.url)
        found["Hits as tags grow"] = await growth.by_tags(server.url)
    return found


def machine() -> dict[str, str]:
    """What it was measured on."""
    return {
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


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
                f"| {name} | {' | '.join(map(_number, row.values()))} |" for name, row in section.items()
            ]
        else:
            lines += ["| | |", "|---|---:|"]
            lines += [f"| {name} | {value:.3f} |" for name, value in section.items()]
        lines.append("")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Everything side by side.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write NAME.md and NAME.json", metavar="NAME")
    arguments = parser.parse_args()
    found, about = asyncio.run(measure(arguments.rounds)), machine()
    text = markdown(found, about, arguments.rounds)
    print(text)
    if arguments.out is not None:
        plain = {
            title: {name: asdict(one) if isinstance(one, Measured) else one for name, one in section.items()}
            for title, section in found.items()
        }
        document = {"machine": about, "rounds": arguments.rounds, "results": plain}
        arguments.out.with_suffix(".md").write_text(text, "utf-8")
        arguments.out.with_suffix(".json").write_text(json.dumps(document, indent=2), "utf-8")


if __name__ == "__main__":
    main()
