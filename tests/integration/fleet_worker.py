"""One process of a fleet: many tasks that ask for the same value at the same time.

Takes the URL, a folder and settings. Says `ready` and waits for a line; then all tasks call, and what they
got is printed as JSON. Each run of the function adds a line to the file `runs`, and ends when there is a
file `go`.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.harness.polling import aeventually
from tests.integration.cache_support import cache_at

TASKS = 50


async def main(url: str, folder: Path, settings: dict) -> None:
    async with cache_at(url, operation_timeout=10.0, **settings) as cache:

        @cache.cached(key_prefix="vocabulary")
        async def look_up(number: int) -> dict[str, int]:
            with (folder / "runs").open("a") as runs:
                runs.write(f"{os.getpid()}\n")
            await aeventually((folder / "go").exists, within=60)
            return {"number": number}

        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        values = await asyncio.gather(*(look_up(7) for _ in range(TASKS)))
        say(json.dumps(values))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
