"""What a function for many items may return, and what its callers get."""

from collections import UserDict, defaultdict, deque
from typing import Any

import pytest

from langcache_cli.caching import Cache, cached_many
from langcache_cli.caching.testing import memory_cache


@pytest.fixture
def cache() -> Cache:
    return memory_cache()


def functions(cache: Cache, result: Any) -> Any:
    @cache.cached(key_prefix="translation")
    async def one(text: str) -> str:
        return text.upper()

    @cached_many(one, each="texts")
    async def many(texts: list[str]) -> Any:
        return result(texts)

    return one, many


@pytest.mark.parametrize(
    "result",
    [
        lambda texts: {text: text.upper() for text in reversed(texts)},
        lambda texts: UserDict({text: text.upper() for text in texts} | {"more": "MORE"}),
        lambda texts: defaultdict(str, {text: text.upper() for text in texts}),
        lambda texts: tuple(text.upper() for text in texts),
        lambda texts: deque(text.upper() for text in texts),
    ],
)
async def test_a_dictionary_by_item_and_any_sequence_are_used(cache, result):
    one, many = functions(cache, result)
    assert await many(["ab", "cd", "ab"]) == ["AB", "CD", "AB"]
    assert await one("ab") == "AB"
    await cache.aclose()


@pytest.mark.parametrize(
    "result",
    [
        lambda texts: "xy",
        lambda texts: b"xy",
        lambda texts: {text.upper() for text in texts},
        lambda texts: (text.upper() for text in texts),
        lambda texts: {text: text.upper() for text in texts}.values(),
        lambda texts: None,
    ],
)
async def test_what_has_no_order_is_refused_and_poisons_nothing(cache, result):
    one, many = functions(cache, result)
    with pytest.raises(TypeError, match=r"many> must return a list of the values in the order"):
        await many(["ab", "cd"])
    assert await one("ab") == "AB"
    await cache.aclose()


async def test_a_dictionary_without_an_item_is_refused(cache):
    one, many = functions(cache, lambda texts: {"ab": "AB"})
    with pytest.raises(ValueError, match="returned values for 1 of 2 items"):
        await many(["ab", "cd"])
    assert await many(["ab"]) == ["AB"]
    assert await one("cd") == "CD"
    await cache.aclose()


async def test_a_dictionary_cannot_tell_equal_items_apart(cache):
    @cache.cached(key_prefix="p")
    async def one(item: Any) -> str:
        return str(item)

    @cached_many(one, each="items")
    async def many(items: list[Any]) -> Any:
        return {item: str(item) for item in items}

    with pytest.raises(TypeError, match="cannot tell equal items apart"):
        await many([1, True])
    await cache.aclose()


async def test_repeated_items_do_not_share_an_object(cache):
    @cache.cached(key_prefix="p")
    async def one(item: int) -> list[int]:
        return [item]

    @cached_many(one, each="items")
    async def many(items: list[int]) -> list[list[int]]:
        return [[item] for item in items]

    for _ in range(2):
        first, second, third = await many([5, 5, 5])
        first.append(6)
        second.append(7)
        assert third == [5]
    await cache.aclose()


@pytest.mark.parametrize("ttl", [float("inf"), 1e17, float("nan"), 0, 315_360_001])
async def test_a_ttl_that_redis_cannot_hold_is_refused_at_import(cache, ttl):
    async def one(item: int) -> int: ...

    with pytest.raises(TypeError, match="ttl must be more than 0 seconds and at most"):
        cache.cached(key_prefix="p", ttl=ttl)(one)
    with pytest.raises(ValueError, match="ttl must be more than 0 seconds and at most"):
        await cache.set("a", 1, ttl=ttl)
    await cache.aclose()
