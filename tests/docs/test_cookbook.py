"""docs/cookbook.md: keys, values, removing and testing are as the recipes say."""

from decimal import Decimal

import pytest

from langcache_cli.caching import after_commit, cached, invalidate_cache
from langcache_cli.caching.testing import null_cache
from tests.docs.blocks import blocks
from tests.docs.cookbook_page import PAGE, text_of_the_tests
from tests.docs.surroundings import Word, WordRow
from tests.docs.test_python_blocks import cache

__all__ = ["cache"]  # the fixture


def test_there_are_twenty_recipes_and_each_has_a_test():
    questions = [block.section for block in blocks(PAGE, "python")]
    assert len(questions) == len(set(questions)) == 20
    assert [question for question in questions if f'recipe("{question}")' not in text_of_the_tests()] == []


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("commits", [True, False])
async def test_a_write_is_seen_once_it_is_committed(recipe, names, commits):
    found = await recipe("How do I invalidate after a write?")
    db = names["db"]
    assert (await found.get_word(7, db)).translation_en == "house"
    await found.translate_word(7, "building", db)
    async with names["sessions"]() as reader:
        assert (await found.get_word(7, reader)).translation_en == "house", "not committed yet"
        await reader.rollback()
    await (db.commit() if commits else db.rollback())
    db.expire_all()
    assert (await found.get_word(7, db)).translation_en == ("building" if commits else "house")


@pytest.mark.usefixtures("cache")
async def test_a_write_that_raises_or_is_elsewhere(recipe, names):
    found = await recipe("How do I invalidate after a write?")
    db, key = names["db"], found.get_word.key_for(word_id=7)

    @found.invalidates(found.get_word.where(word_id="{word.id}"))
    async def save(word: Word) -> None:
        if word.lemma == "":
            raise ValueError("no lemma")

    await found.get_word(7, db)
    with pytest.raises(ValueError, match="no lemma"):
        await save(Word(id=7, lemma="", translation_en=""))
    assert await found.get_word.cache.holds(key)
    await save(Word(id=7, lemma="Haus", translation_en=""))
    assert not await found.get_word.cache.holds(key)
    await found.get_word(7, db)
    after_commit(db, key)
    await db.commit()
    assert not await found.get_word.cache.holds(key)


async def test_a_value_says_how_long_it_is_kept(recipe, names, clock):
    found = await recipe("How do I keep empty results for a shorter time, and errors out?")
    asked = names["dictionary_service"].asked
    for _ in range(2):
        assert [await found.look_up("Haus"), await found.look_up("Hxus")] == ["house", None]
    assert asked == ["Haus", "Hxus"]
    clock.advance(61)
    await found.look_up("Haus"), await found.look_up("Hxus")
    assert asked == ["Haus", "Hxus", "Hxus"]

    tokens = names["token_service"]
    tokens.answer = lambda name: {"text": name, "expires_at": found.time.time() + 90}
    await found.get_token("a"), await found.get_token("a")
    assert len(tokens.asked) == 1
    clock.advance(61)
    tokens.answer = lambda name: {"text": name, "expires_at": 0}
    await found.get_token("a"), await found.get_token("a")
    assert len(tokens.asked) == 3, "a token that has expired is not stored"
    tokens.fails(RuntimeError("no token"))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no token"):
            await found.get_token("a")
    assert len(tokens.asked) == 5


@pytest.mark.usefixtures("cache")
async def test_a_hit_has_the_types_of_a_miss(recipe):
    found = await recipe("Why do I get a dict and not my model?")
    miss, hit = await found.get_price("pro"), await found.get_price("pro")
    assert found.get_price.cache.statistics_of(found.get_price)["hits"] == 1
    assert miss == hit
    assert type(hit) is found.Price
    assert (type(hit.amount), type(hit.steps)) == (Decimal, tuple)
    with pytest.raises(TypeError, match="from_attributes=True"):

        @cached(key_prefix="rows")
        async def get_row(word_id: int) -> WordRow | None: ...


async def test_a_test_without_redis(recipe):
    found = await recipe("How do I test without Redis?")
    fixture = found.clock.__wrapped__()
    await found.test_a_word_is_loaded_again_after_its_ttl(await anext(fixture))
    with pytest.raises(StopAsyncIteration):
        await anext(fixture)
    async with null_cache() as nothing:
        runs: list[int] = []

        @nothing.cached(key_prefix="vocabulary")
        async def read(item: int) -> int:
            runs.append(item)
            return item

        await read(1), await read(1)
        assert runs == [1, 1]


@pytest.mark.usefixtures("cache")
async def test_instances_share_what_their_key_does_not_tell_apart(recipe):
    found = await recipe("How do I cache a method?")
    german, french = found.german, found.Dictionary("fr")
    assert [await german.find("tree"), await french.find("tree")] == ["tree (de)", "tree (fr)"]
    assert german.find.key_for("house") == "cache:dictionary:find:de:house"
    assert not await found.Dictionary.find.cache.holds(german.find.key_for("house"))
    assert await found.Dictionary("de").find.invalidate("tree") is True, "the entry of the other instance"


@pytest.mark.usefixtures("cache")
async def test_a_tag_removes_its_group_and_nothing_else(recipe, names):
    found = await recipe("How do I remove a group of entries at once?")
    cache, asked = found.get_level.cache, names["words_of"].asked

    async def read_all() -> None:
        for level in ("A1", "A2"):
            await found.get_level(level, 1), await found.get_level(level, 2)
            await found.get_known_words(1, level)

    await read_all()
    await found.words_were_imported("A1")
    asked.clear()
    await read_all()
    assert asked == ["A1", "A1", "A1"]
    assert await invalidate_cache("cache:vocabulary_level:*") == 4
    await cache.invalidate_tags("user:1")
    asked.clear()
    await read_all()
    assert asked == ["A1", "A1", "A1", "A2", "A2", "A2"]
