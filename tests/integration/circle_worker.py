"""A process in which `first` calls `second` and `second` calls `first`, once.

Takes the URL and the name of the function to call. Says `ready` and waits for a line; then says `inside` when
its function runs, waits for another line, and goes on. Says what it got and the seconds that took.
"""

import asyncio
import sys
import time

from tests.integration.cache_support import cache_at


async def main(url: str, name: str) -> None:
    async with cache_at(url, load_timeout=20.0) as cache:
        depth = 0

        async def inside(function, other: str) -> str:
            nonlocal depth
            depth += 1
            if depth == 1:
                say("inside")
                await asyncio.to_thread(sys.stdin.readline)
            return function if depth > 2 else f"{function} {await functions[other]()}"

        @cache.cached(key_prefix="vocabulary")
        async def first() -> str:
            return await inside("first", "second")

        @cache.cached(key_prefix="vocabulary")
        async def second() -> str:
            return await inside("second", "first")

        functions = {"first": first, "second": second}
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        started = time.monotonic()
        value = await functions[name]()
        say(f"{value} {time.monotonic() - started:.1f}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
