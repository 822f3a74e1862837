"""How much memory `langcache warm` takes, from 100,000 words to 1,000,000."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.bulk import fill_database
from langcache_cli.vocabulary import Database
from tests.harness.redis_server import RedisServer

WORDS = (100_000, 1_000_000)


async def warm_mb(database_url: str) -> dict[str, float]:
    """The most memory that the process of the command has had, in MB."""
    found = {}
    for words in WORDS:
        async with Database(database_url) as database:
            await fill_database(database, words)
        with RedisServer() as server:
            found[f"{words:,} words"] = await asyncio.to_thread(_peak_mb, server.url, database_url)
    return found


def _peak_mb(redis_url: str, database_url: str) -> float:
    environment = {**os.environ, "REDIS_URL": redis_url, "DATABASE_URL": database_url}
    command = [str(Path(sys.executable).with_name("langcache")), "warm", "--quiet"]
    peak = 0
    with psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        # not what the system says in the end: that counts the memory of whoever started it
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                peak = max(peak, process.memory_info().rss)
            time.sleep(0.01)
    assert process.returncode == 0
    return peak / 2**20
