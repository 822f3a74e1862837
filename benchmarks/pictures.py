"""The pictures of the documents, `python -m benchmarks.pictures`: the example backend under simulated users.

The dashboard stays open for an hour, and the memory of its page is measured each minute. Needs Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.backend_load import ADMIN, Users, backend
from tests.harness.browser import Page, browser, missing
from tests.harness.postgres import PostgresServer
from tests.harness.redis_server import RedisServer

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
TOKEN = ADMIN["Authorization"].removeprefix("Bearer ")
WIDTH, FIRST_SCREEN = 1280, 940
PAUSE_SECONDS = 1.0
OUTAGE_SECONDS = 20.0


@contextmanager
def asking(url: str, *, users: int, seconds: float) -> Iterator[None]:
    """Users ask meanwhile."""
    simulated = Users(url, count=users, seed=0, pause_seconds=PAUSE_SECONDS)
    thread = threading.Thread(target=lambda: asyncio.run(simulated.run(seconds)), daemon=True)
    thread.start()
    yield


def watch(page: Page, seconds: float, happenings: dict[float, Callable[[], object]]) -> list[int]:
    """Let an open page go on; returns its memory in bytes, each minute.

    Args:
        page: The page.
        seconds: For how long.
        happenings: What happens, by the part of the time after which it does.
    """
    started, heap = time.monotonic(), list[int]()
    left = sorted(happenings.items())
    while (passed := time.monotonic() - started) < seconds:
        while left and passed >= left[0][0] * seconds:
            left.pop(0)[1]()
        page.send("HeapProfiler.collectGarbage")
        heap.append(page.send("Runtime.getHeapUsage")["usedSize"])
        sys.stderr.write(f"{passed / 60:.0f} min, page {heap[-1] / 1e6:.2f} MB\n")
        time.sleep(min(60.0, seconds / 10))
    return heap


def draw(page: Page, folder: Path) -> None:
    """The first screen of the page in both schemes, and the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.size(WIDTH, FIRST_SCREEN, scheme=scheme)
        time.sleep(1)  # the charts fit themselves to the window
        page.first_screen(folder / f"dashboard-{scheme}.png")
    page.size(WIDTH, FIRST_SCREEN)
    time.sleep(1)
    page.picture(folder / "dashboard-whole.png")


def main() -> None:
    """Run the backend, and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--minutes", type=float, default=62.0)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    if why := missing():
        raise SystemExit(why)
    seconds = 60 * options.minutes
    with (
        PostgresServer() as postgres,
        RedisServer(appendonly=True) as redis,
        backend(redis, postgres.create_database(), cached=True) as url,
        browser() as page,
        asking(url, users=options.users, seconds=seconds + 60),
    ):

        def clear() -> None:
            httpx.post(
                f"{url}/admin/cache/clear", params={"cache_type": "translation"}, headers=ADMIN
            ).raise_for_status()

        def outage() -> None:
            redis.kill()
            time.sleep(OUTAGE_SECONDS)
            redis.start()

        page.size(WIDTH, FIRST_SCREEN)
        page.open(f"{url}/admin/cache/#token={TOKEN}")
        heap = watch(page, seconds, {0.45: clear, 0.75: outage})
        draw(page, options.folder)
    first, last = heap[len(heap) // 10], heap[-1]
    sys.stdout.write(f"memory of the page: {first / 1e6:.2f} MB at first, {last / 1e6:.2f} MB at the end\n")


if __name__ == "__main__":
    main()
