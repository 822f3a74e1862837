"""Background tasks: expected errors are ignored, any other is logged once with its traceback."""

import asyncio
import gc
import logging

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._background import Background
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.cluster.router import Router
from langcache_cli.caching._deployment.cluster.topology import Topology
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.idle_clock import IdleClock
from tests.harness.polling import aeventually


async def raises(error: Exception) -> None:
    raise error


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG)
    return lambda: [(record.message, record.exc_info) for record in caplog.records if record.exc_info]


async def ended(task: asyncio.Task) -> None:
    await asyncio.wait([task])
    await asyncio.sleep(0)
    gc.collect()  # an exception that nothing has retrieved is logged when its task is collected


async def test_an_unexpected_error_is_logged_once_with_its_traceback(logged):
    await ended(Background(asyncio.get_running_loop()).spawn(raises(ZeroDivisionError("a bug"))))
    ((message, (kind, _, trace)),) = logged()
    assert message.startswith("background work of the cache failed")
    assert kind is ZeroDivisionError
    assert trace.tb_frame.f_code is raises.__code__


async def test_an_error_of_the_cache_is_ignored(caplog):
    background = Background(asyncio.get_running_loop())
    await ended(background.spawn(raises(CacheUnavailableError("down", target="somewhere"))))
    assert caplog.records == []
    assert background.tasks() == []


async def test_an_unexpected_error_of_a_refresh_of_the_slots_is_logged_once(logged, monkeypatch):
    monkeypatch.setattr(Topology, "_ask_for_slots", lambda *_: raises(ZeroDivisionError("a bug")))
    router = Router(
        RedisTarget.parse("redis+cluster://127.0.0.1:1"),
        timeout=0.1,
        clock=IdleClock(),
        connect=connect,
        on_connect=None,
        on_moved=lambda _: None,
        outages=None,
    )
    router.refresh_soon()
    await aeventually(logged)
    await asyncio.sleep(0)
    gc.collect()
    assert [kind for _, (kind, *_) in logged()] == [ZeroDivisionError]
    assert router.close() == []
