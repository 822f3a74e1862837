"""What may be left out, and what is understood in more than one form."""

from langcache_cli.caching.testing import memory_cache


async def test_the_prefix_is_the_module_of_the_function_unless_one_is_given():
    cache = memory_cache()

    @cache.cached()
    async def get_word(word_id: int) -> int:
        return word_id

    assert get_word.key_for(7) == f"cache:{__name__}:get_word:7"
    assert await get_word(7) == 7
    assert cache.label(get_word.spec).type == __name__
    assert await cache.invalidate(f"cache:{__name__}:*") == 1
    await cache.aclose()


async def test_delete_takes_full_keys_too():
    cache = memory_cache()

    @cache.cached(key_prefix="vocabulary")
    async def get_word(word_id: int) -> int:
        return word_id

    await get_word(7)
    assert await cache.delete(get_word.key_for(7)) == 1
    await cache.set("words:1", 1)
    await cache.set("cache:words:1", 2)
    assert await cache.delete("words:1") == 1
    await cache.set("words:1", 1)
    assert await cache.delete("cache:words:1") == 2
    await cache.aclose()
