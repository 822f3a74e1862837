"""One process of a run: many tasks that read, a few that change and invalidate; all of it is written down.

`python -m tests.history.worker JSON`. It runs until its input ends; a line `clock MS` sets its time of day
off by so many milliseconds, a line `read` has it read everything once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from tests.history.changing import Writer
from tests.history.defects import break_cache
from tests.history.options import Options
from tests.history.reading import Reader
from tests.history.subjects import names
from tests.history.work import Work

READERS = 12
FLUSH_SECONDS = 0.1


class Worker:
    """Reads and changes until its input ends."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._work = Work(options)
        self._reader = Reader(self._work)
        self._writer = Writer(self._work)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until the input ends."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_complain)
        runtime, watch = self._work.cache.runtime(), self._work.watch
        break_cache(runtime, self._options.defect)
        watch.follow(runtime.server, runtime.bulk_server)
        watch.follow_outbox(runtime.outbox, names(self._work.functions))
        readers = 0 if self._options.idle else READERS
        tasks = [
            *(asyncio.create_task(self._reader.run()) for _ in range(readers)),
            *(asyncio.create_task(self._writer.run()) for _ in range(self._options.writers)),
            asyncio.create_task(self._keep_books()),
            asyncio.create_task(watch.beat()),
        ]
        listening = asyncio.create_task(asyncio.to_thread(self._listen))
        await asyncio.wait([listening, *tasks], return_when=asyncio.FIRST_COMPLETED)
        tasks += self._tasks
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self._work.close()
        for error in ended:
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise error

    def _listen(self) -> None:
        for line in sys.stdin:
            match line.split():
                case ["clock", milliseconds]:
                    self._work.clock_ms = int(milliseconds)
                case ["read"]:
                    self._loop.call_soon_threadsafe(self._read_all)

    def _read_all(self) -> None:
        task = asyncio.create_task(self._reader.read_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_books(self) -> None:
        while True:
            self._writer.settle()
            self._work.watch.settle()
            self._work.journal.flush()
            await asyncio.sleep(FLUSH_SECONDS)  # a journal is written in portions


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if "unexpected connection_lost" not in repr(context.get("exception")):
        loop.default_exception_handler(context)
    # else it is asyncpg, cancelled while it connects


def main() -> None:
    """Run, and end at once: a thread may still wait for Redis."""
    asyncio.run(Worker(Options(**json.loads(sys.argv[1]))).run())
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
