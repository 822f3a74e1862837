"""A call for many items of which some fail, or that is cancelled: the others have their values."""

import asyncio

import pytest

from langcache_cli.caching import cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import waiting
from tests.integration.translator import Translator


@pytest.fixture
def translator(cache) -> Translator:
    return Translator(cache)


async def test_what_could_not_be_loaded_is_raised_and_the_rest_is_kept(translator):
    translator.failing = {"bad"}
    with pytest.raises(ValueError, match="bad"):
        await translator.many(["ab", "bad", "cd"], "en")
    translator.failing = set()
    assert await translator.many(["ab", "bad", "cd"], "en") == ["ba", "dab", "dc"]
    assert translator.batches == [["ab", "bad", "cd"], ["bad"]]


async def test_several_failures_come_as_a_group(translator):
    translator.failing = {"bad", "worse"}
    with pytest.raises(ExceptionGroup, match="2 of 3 items failed") as caught:
        await translator.many(["ab", "bad", "worse"], "en")
    assert [str(error) for error in caught.value.exceptions] == ["bad", "worse"]


async def test_a_call_that_fails_stores_nothing_and_gives_its_leases_back(translator, redis_server):
    translator.error = OSError("no translator")
    with pytest.raises(OSError, match="no translator"):
        await translator.many(["ab", "cd"], "en")
    await aeventually(lambda: redis_server.command("KEYS", "cache:translation:*") == [])
    translator.error = None
    assert await translator.many(["ab", "cd"], "en") == ["ba", "dc"]


async def test_an_error_reaches_those_who_joined(translator):
    translator.gate.shut()
    translator.failing = {"bad"}
    many = asyncio.create_task(translator.many(["ab", "bad"], "en"))
    await translator.gate.reached()
    good, bad = (asyncio.create_task(translator.one(text, "en")) for text in ("ab", "bad"))
    await aeventually(lambda: waiting(translator.one.cache) == 3)
    translator.gate.open()
    assert await good == "ba"
    for failing in (bad, many):
        with pytest.raises(ValueError, match="bad"):
            await failing
    assert translator.texts == {"ab": 1, "bad": 1}


async def test_too_few_values_are_a_mistake_of_the_function(cache):
    translator = Translator(cache)

    @cached_many(translator.one, each="texts")
    async def broken(texts: list[str], source: str) -> list[str]:
        return texts[:1]

    with pytest.raises(ValueError, match="returned 1 values for 2 items"):
        await broken(["a", "b"], "en")


async def test_cancelled_it_leaves_those_who_joined_their_values(translator):
    translator.gate.shut()
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    await translator.gate.reached()
    single = asyncio.create_task(translator.one("cd", "en"))
    await aeventually(lambda: waiting(translator.one.cache) == 2)
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    translator.gate.open()
    assert await single == "dc"
    assert translator.texts == {"ab": 1, "cd": 2}


async def test_cancelled_alone_it_leaves_nothing(translator, redis_server):
    translator.gate.shut()
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    await translator.gate.reached()
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    await aeventually(lambda: redis_server.command("KEYS", "cache:translation:*") == [])
    assert len(translator.one.cache.runtime().running_loads) == 0


@pytest.mark.parametrize("steps", range(1, 40))
async def test_cancelled_at_any_await_it_harms_nobody(translator, redis_server, steps):
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    for _ in range(steps):
        await asyncio.sleep(0)
    many.cancel()
    await asyncio.gather(many, return_exceptions=True)
    assert await asyncio.wait_for(translator.many(["ab", "cd"], "en"), 8) == ["ba", "dc"]
