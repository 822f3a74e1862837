"""A load that blocks its event loop for longer than the lease keeps the lease, and is stored."""

import asyncio
import threading
import time

import pytest

from tests.harness.polling import aeventually

LEASE_SECONDS = 3.0
"""A third of it is left for a renewal that is late: on a busy machine threads and servers are, too."""

BLOCKED_SECONDS = 4.0


@pytest.mark.parametrize("how", ["call", "refresh"])
@pytest.mark.parametrize("tags", [(), ("items",)], ids=["plain", "tagged"])
async def test_a_load_that_blocks_the_loop_is_stored(open_cache, redis_server, how, tags):
    runs = []

    @open_cache(lease_seconds=LEASE_SECONDS).cached(key_prefix="translation", tags=tags)
    async def translate(text: str) -> str:
        runs.append(text)
        time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251 - what this is about
        return text.upper()

    assert await (translate.refresh("hallo") if how == "refresh" else translate("hallo")) == "HALLO"
    assert await translate("hallo") == "HALLO"
    assert runs == ["hallo"]


async def test_an_invalidation_wins_over_a_load_that_blocks_the_loop(open_cache, redis_server):
    cache = open_cache(lease_seconds=LEASE_SECONDS)
    runs = []

    @cache.cached(key_prefix="translation")
    async def translate(text: str) -> str:
        runs.append(text)
        if len(runs) == 1:
            time.sleep(BLOCKED_SECONDS / 2)  # noqa: ASYNC251 - what this is about
            assert redis_server.command("DEL", translate.key_for(text)) == 1
            time.sleep(BLOCKED_SECONDS / 2)  # noqa: ASYNC251 - what this is about
        return f"{text} {len(runs)}"

    assert await translate("hallo") == "hallo 1"
    assert await translate("hallo") == "hallo 2"


async def test_a_load_that_hangs_the_loop_loses_its_lease_after_load_timeout(open_cache, redis_server):
    cache = open_cache(lease_seconds=0.3, load_timeout=0.5)

    @cache.cached(key_prefix="translation")
    async def translate(text: str) -> int:
        time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251 - what this is about
        return redis_server.command("EXISTS", translate.key_for(text))

    assert await translate("hallo") == 0


async def test_the_watch_ends_when_there_are_no_loads(open_cache):
    cache = open_cache(lease_seconds=0.1)
    others = set(threading.enumerate())  # the watch of an earlier test with longer leases may still be ending

    @cache.cached(key_prefix="translation")
    async def translate(text: str) -> str:
        return text.upper()

    def watching() -> bool:
        return any(thread.name == "langcache-leases" for thread in set(threading.enumerate()) - others)

    for text in ("a", "b"):
        await translate(text)
        assert watching()
        await aeventually(lambda: not watching())
    await asyncio.sleep(0)


async def test_a_miss_needs_no_thread(open_cache, monkeypatch):
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)

    @open_cache(lease_seconds=LEASE_SECONDS).cached(key_prefix="translation")
    async def translate(text: str) -> str:
        return text.upper()

    assert await translate("hallo") == await translate("hallo") == "HALLO"
