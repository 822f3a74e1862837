"""Text that has no UTF-8 form is refused where it is asked for, and never waits in an outbox."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import Cache, PatternError
from langcache_cli.caching.testing import Faults, memory_cache

Call = Callable[[Cache], Awaitable[Any]]
BAD = "cache:words:\ud800"


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def cache(faults: Faults) -> Cache:
    return memory_cache(faults=faults)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize(
    "call",
    [
        lambda cache: cache.invalidate(BAD + "*"),
        lambda cache: cache.invalidate_keys(["cache:a", BAD]),
        lambda cache: cache.delete("a", "\ud800"),
        lambda cache: cache.set("\ud800", 1),
        lambda cache: cache.get("\ud800"),
    ],
)
async def test_a_key_or_pattern_is_refused(cache: Cache, faults: Faults, down: bool, call: Call):
    if down:
        faults.fail()
    with pytest.raises(PatternError, match="contains a lone surrogate"):
        await call(cache)
    assert cache.pending_invalidations == 0
    faults.heal()
    await cache.aclose()


@pytest.mark.parametrize("request_", [{"patterns": [BAD + "*"]}, {"keys": [BAD]}])
async def test_after_commit_refuses_it_before_the_commit(cache, request_):
    async with AsyncSession() as session:
        with pytest.raises(PatternError, match="contains a lone surrogate"):
            cache.after_commit(session, *request_.pop("keys", ()), **request_)
    await cache.aclose()


async def test_a_tag_of_such_text_is_escaped_in_entries_and_invalidations_alike(cache, faults):
    @cache.cached(key_prefix="words", tags=("text:{text}",))
    async def look_up(text: str) -> int:
        return next(numbers)

    numbers = iter(range(10))
    assert [await look_up("\ud800"), await look_up("\ud800")] == [0, 0]
    assert await cache.invalidate_tags("text:\ud800") == 1
    assert await look_up("\ud800") == 1
    await cache.aclose()
