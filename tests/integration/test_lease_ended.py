"""A value that came too late for its lease is warned about once; one that was invalidated is not."""

import asyncio
import time

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching.testing import memory_cache

LEASE_SECONDS = 0.1
LONG_SECONDS = 0.8


def warned(caplog) -> list[str]:
    return [text for text in caplog.messages if "the lease of its load had ended" in text]


@pytest.mark.parametrize("how", ["call", "refresh", "many"])
async def test_a_load_that_takes_longer_than_load_timeout(open_cache, how, caplog):
    cache = open_cache(lease_seconds=LEASE_SECONDS, load_timeout=LEASE_SECONDS)

    @cache.cached(key_prefix="translation")
    async def translate(text: str) -> str:
        await asyncio.sleep(LONG_SECONDS)  # longer than a load may take
        return text.upper()

    @cached_many(translate, each="texts")
    async def translate_all(texts: list[str]) -> list[str]:
        await asyncio.sleep(LONG_SECONDS)  # as above
        return [text.upper() for text in texts]

    call = {"call": translate, "refresh": translate.refresh, "many": lambda text: translate_all([text])}[how]
    for text in ("a", "b"):
        assert await call(text) in (text.upper(), [text.upper()])
    (line,) = warned(caplog)
    assert "translate" in line
    assert "LANGCACHE_LOAD_TIMEOUT (0.1 s)" in line
    assert cache.statistics_of(translate)["refused"] == 2


async def test_a_load_that_nothing_could_renew_while_it_kept_the_loop_busy(caplog):
    async with memory_cache(lease_seconds=LEASE_SECONDS) as cache:  # no thread renews there

        @cache.cached(key_prefix="translation")
        async def translate(text: str) -> str:
            time.sleep(LONG_SECONDS)  # noqa: ASYNC251 - what this is about
            await asyncio.sleep(0.01)  # the timer of the renewal comes late
            return text.upper()

        assert await translate("a") == "A"
        assert cache.statistics_of(translate)["refused"] == 1
    (line,) = warned(caplog)
    assert "LANGCACHE_LEASE_SECONDS (0.1 s)" in line


async def test_a_value_that_was_invalidated_meanwhile_however_long_its_load(open_cache, redis_server, caplog):
    cache = open_cache(lease_seconds=0.5)

    @cache.cached(key_prefix="translation")
    async def translate(text: str) -> str:
        redis_server.command("DEL", translate.key_for(text))
        await asyncio.sleep(1.5)  # three leases, had it not been invalidated
        return text.upper()

    assert await translate("a") == "A"
    assert cache.statistics_of(translate)["refused"] == 1
    assert warned(caplog) == []
