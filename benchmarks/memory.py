"""How much memory `langcache warm` takes, from 100,000 words to 1,000,000."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

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
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024
