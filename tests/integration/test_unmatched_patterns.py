"""A pattern that can match no key of the process is warned about once; one that may is not."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from tests.harness.polling import aeventually


def warned(caplog) -> list[str]:
    return [text for text in caplog.messages if "removed nothing" in text]


@pytest.fixture
async def cache(open_cache, redis_url):
    cache = open_cache(redis_url)

    @cache.cached(key_prefix="ponds")
    async def get_pond(number: int) -> int:
        return number

    @cache.cached(key_prefix="lakes")
    async def count_lakes() -> int:
        return 1

    return cache


@pytest.mark.parametrize(
    "pattern",
    [
        "cache:pond:*",  # the prefix is misspelt
        "cache:get_pond:*",  # there is none
        "cache:ponds:7",  # the function is missing
        "cache:ponds:get_pool:*",
        "cache:ponds:get_pond",  # every key goes on
        "cache:?onds:get_lake:*",
    ],
)
async def test_it_is_warned_about_once_with_what_keys_look_like(cache, pattern, caplog):
    for _ in range(3):
        assert await cache.invalidate(pattern) == 0
    (text,) = warned(caplog)
    assert "such as 'cache:" in text


@pytest.mark.parametrize(
    "pattern",
    [
        "cache:ponds:get_pond:*",
        "cache:ponds:get_pond:7",  # right, but there is no such entry now
        "cache:*pond*",
        "cache:lakes:count_lakes",
        "cache:episodes:*",  # the prefix of a cache type: a function of another process, perhaps
        "cache:greetings:*",  # a plain key
        "cache:hello",
        "cache:*",
    ],
)
async def test_a_pattern_that_may_match_is_not_warned_about(cache, pattern, caplog):
    await cache.set("greetings:7", "hello")
    await cache.get("hello")
    await cache.delete("greetings:7")
    assert await cache.invalidate(pattern) == 0
    assert warned(caplog) == []


async def test_what_was_removed_was_right(cache, caplog, redis_server):
    redis_server.command("SET", "cache:pools:get_pool:1", "of another process")
    assert await cache.invalidate("cache:pools:*") == 1
    assert warned(caplog) == []


async def test_what_redis_did_not_confirm_says_nothing_about_the_pattern(
    cache, open_cache, own_redis, caplog
):
    server = own_redis()
    another = open_cache(server.url)
    server.stop()
    assert await another.invalidate("cache:pools:*") == 0
    assert warned(caplog) == []


async def test_after_a_commit_it_is_warned_about_too_and_a_type_is_not(cache, caplog):
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as session:
        cache.after_commit(session, patterns=["cache:pools:*"], types=["video"])
        await session.commit()
    await aeventually(lambda: warned(caplog))
    assert len(warned(caplog)) == 1
    await engine.dispose()


async def test_arguments_in_a_pattern_are_shown_only_if_logs_may_show_values(
    cache, open_cache, redis_url, caplog
):
    await cache.invalidate("cache:pools:get_pool:secret*")
    await open_cache(redis_url, log_values=True).invalidate("cache:pools:get_pool:secret*")
    hidden, shown = warned(caplog)
    assert "'cache:pools:...'" in hidden
    assert "secret" not in hidden
    assert "'cache:pools:get_pool:secret*'" in shown
