"""Learning of failovers from sentinels whose answers are made up: by push, by asking, after a lost link."""

import asyncio
from typing import Any

import pytest

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._deployment.sentinel import watch
from tests.harness.polling import aeventually
from tests.unit.scripted_sentinels import (
    NEW,
    NOPERM,
    OLD,
    Fleet,
    end,
    sentinel,
)


@pytest.fixture(params=["push", "no push", "refused"])
def way(request, monkeypatch):
    """How the sentinels let it be known: they push, hiredis is too old for that, or the user may not."""
    monkeypatch.setattr(watch, "SUPPORTS_PUSH", request.param != "no push")
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    return request.param


async def test_a_watch_notices_a_failover(way):
    view = [OLD]
    rest = NOPERM if way == "refused" else b"PONG"

    def one(command: tuple[str, ...]) -> Any:
        if command[0] == "SUBSCRIBE":
            return rest
        return sentinel(lambda: view[0])(command)

    fleet = Fleet(one, one, one)
    sentinels = fleet.sentinels(watched=True)
    link: Any = await sentinels.connect(RedisAddress.parse("redis://h"))
    await aeventually(lambda: len(fleet.open("s")) == 3)
    await asyncio.sleep(0)
    assert link.alive
    view[0] = NEW
    if way == "push":
        await aeventually(lambda: all(one.pushes for one in fleet.open("s")))
        fleet.open("s")[1].pushes[0]([b"message", b"+switch-master", b"cache 10.0.0.1 1 10.0.0.2 2"])
    await aeventually(lambda: not link.alive)
    await end(sentinels)
    assert fleet.open("s") == []


async def test_a_watch_that_lost_its_link_looks_again_and_compares():
    view = [OLD]
    fleet = Fleet(sentinel(lambda: view[0]))
    sentinels = fleet.sentinels(watched=True)
    link: Any = await sentinels.connect(RedisAddress.parse("redis://h"))
    await aeventually(lambda: fleet.open("s"))
    view[0] = NEW
    fleet.open("s")[0].abort()
    await aeventually(lambda: not link.alive)
    await aeventually(lambda: fleet.open("s"))
    await end(sentinels)


async def test_a_watch_outlives_a_sentinel_that_is_away():
    fleet = Fleet(sentinel(OLD), sentinel(OLD), ConnectionRefusedError("refused"))
    sentinels = fleet.sentinels(watched=True)
    await sentinels.connect(RedisAddress.parse("redis://h"))
    await aeventually(lambda: len(fleet.open("s")) == 2)
    fleet.answers = (*fleet.answers[:2], sentinel(OLD))
    await aeventually(lambda: len(fleet.open("s")) == 3)
    await end(sentinels)
    assert sentinels._watch is not None
    sentinels._watch.start()
    assert fleet.open("s") == []


async def test_nothing_is_watched_before_the_first_connection():
    fleet = Fleet(sentinel(OLD))
    sentinels = fleet.sentinels(watched=True)
    await sentinels.resolve()
    assert fleet.open("s") == []
    assert sentinels.abandon() == []
