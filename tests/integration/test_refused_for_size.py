"""Values larger than the server takes: told once, not sent again for a while, whoever stores them.

A server ends the connection that brings such a value, and with it the look-ups of all who share it.
"""

import base64
import random
from collections.abc import Sequence

import pytest

from langcache_cli.caching import Cache, CacheError, cached_many
from langcache_cli.caching._front.warm import WarmCounts, warm
from langcache_cli.caching._statistics.labels import plain_keys_of
from tests.harness.polling import aeventually

LARGE = base64.b64encode(random.Random(1).randbytes(1_100_000)).decode()
LARGER = base64.b64encode(random.Random(2).randbytes(1_200_000)).decode()


@pytest.fixture
def server(own_redis):
    return own_redis(config=["proto-max-bulk-len 1mb"])


@pytest.fixture
def cache(open_cache, server) -> Cache:
    return open_cache(server.url)


class Texts:
    """Texts behind a cached function, by number: the second is too large, and so is the fourth."""

    def __init__(self, cache: Cache) -> None:
        self.runs: list[list[int]] = []

        @cache.cached(key_prefix="vocabulary")
        async def text(number: int) -> str:
            return self.of(number)

        @cached_many(text, each="numbers")
        async def texts(numbers: Sequence[int]) -> list[str]:
            self.runs.append(list(numbers))
            return [self.of(number) for number in numbers]

        self.text, self.texts = text, texts

    def of(self, number: int) -> str:
        return {2: LARGE, 4: LARGER}.get(number, str(number))

    async def stored(self, server, *numbers: int) -> None:
        """Wait until these texts are in Redis, and no other, nor the lease of one."""
        keys = {self.text.key_for(number).encode() for number in numbers}
        await aeventually(lambda: set(server.command("KEYS", "cache:vocabulary:*")) == keys)


def lost(cache: Cache) -> int:
    """How many connections for requests there were besides the last."""
    return cache.runtime().server.node.connections_made - 1


def told(caplog) -> list[str]:
    return [text for text in caplog.messages if "is not cached" in text]


async def test_of_a_batch_the_other_items_are_stored_and_it_is_told_once(cache, server, caplog):
    texts = Texts(cache)
    for _ in range(3):
        assert await texts.texts([1, 2, 3]) == ["1", LARGE, "3"]
    assert texts.runs == [[1, 2, 3], [2], [2]]
    await texts.stored(server, 1, 3)
    assert lost(cache) == 1
    assert len(told(caplog)) == 1
    assert cache.statistics_of(texts.text)["uncacheable"] == 1


async def test_several_in_one_batch_cost_one_connection(cache, server):
    texts = Texts(cache)
    for _ in range(3):
        assert await texts.texts([4, 2, 1]) == [LARGER, LARGE, "1"]
    await texts.stored(server, 1)
    assert lost(cache) == 1
    assert cache.statistics_of(texts.text)["uncacheable"] == 2


@pytest.mark.parametrize("many", [False, True])
async def test_a_refresh_does_not_send_it_again(cache, server, caplog, many):
    texts = Texts(cache)
    for _ in range(3):
        if many:
            with cache.refreshing():
                assert await texts.texts([1, 2]) == ["1", LARGE]
        else:
            with pytest.raises(CacheError):
                await texts.text.refresh(2)
    assert lost(cache) == 1
    assert len(told(caplog)) == 1
    await texts.stored(server, *([1] if many else []))


async def test_a_warm_stores_the_others_and_does_not_send_it_again(cache, server, caplog):
    texts = Texts(cache)

    async def load(calls):
        return [texts.of(call["number"]) for call in calls]

    calls = [{"number": number} for number in (1, 2, 3)]
    for _ in range(3):
        assert await warm(cache, texts.text, calls, load) == WarmCounts(read=3, written=2, failed=1)
    assert await warm(cache, texts.text, calls[1:2], load) == WarmCounts(read=1, failed=1)
    await texts.stored(server, 1, 3)
    assert cache.runtime().bulk_server.node.connections_made == 2
    assert len(told(caplog)) == 1


async def test_a_plain_value_is_refused_and_told_once_a_key(cache, server, caplog):
    for _ in range(3):
        assert await cache.set("user_stats:secret", LARGE) is False
        assert await cache.set_many({"user_stats:2": LARGER, "user_stats:3": 3}) is False
    assert await cache.get("user_stats:3") == 3
    assert lost(cache) == 2
    assert len(told(caplog)) == 2
    assert await cache.set("secret", LARGE) is False
    assert "secret" not in caplog.text
    counts = cache.runtime().statistics.since_start()[plain_keys_of("progress")]
    assert (counts["uncacheable"], counts.get("unstored", 0)) == (6, 0)
    assert await cache.set("user_stats:secret", 1)  # a smaller one
    assert await cache.get("user_stats:secret") == 1


async def test_a_setting_lets_the_log_name_the_key(open_cache, server, caplog):
    assert await open_cache(server.url, log_values=True).set("user_stats:secret", LARGE) is False
    assert "user_stats:secret" in caplog.text
