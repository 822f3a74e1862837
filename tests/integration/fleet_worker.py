"""One process of a fleet: many tasks that ask for the same value at the same time.

Takes the URL, a folder and settings. Says `ready`, then reads lines: `FUNCTION NUMBER`. All tasks call the
function, and what they got is printed as JSON. Each run of the function adds a line to the file
`runs-NUMBER`, and ends when there is a file `go-NUMBER`; its value is then what that file holds.
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

        async def load(number: int) -> dict[str, int]:
            with (folder / f"runs-{number}").open("a") as runs:
                runs.write(f"{os.getpid()}\n")
            go = folder / f"go-{number}"
            await aeventually(go.exists, within=60)
            return {"number": number, "version": int(go.read_text() or 0)}

        @cache.cached(key_prefix="vocabulary")
        async def look_up(number: int) -> dict[str, int]:
            return await load(number)

        @cache.cached(key_prefix="episodes", ttl=60, stale_ttl=600)
        async def with_stale(number: int) -> dict[str, int]:
            return await load(number)

        functions = {"look_up": look_up, "with_stale": with_stale}
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, number = line.split()
            values = await asyncio.gather(*(functions[name](int(number)) for _ in range(TASKS)))
            say(json.dumps(values))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
