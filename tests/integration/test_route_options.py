"""The options of `cached`, and blocks around requests, on cached routes."""

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header

from langcache_cli.caching import Cache
from langcache_cli.fastapi import CacheTraceMiddleware, cached_route
from tests.integration.route_support import client_of


class Route:
    """A route, and how often its function has run."""

    def __init__(self, cache: Cache, **options: Any) -> None:
        self.runs = 0
        self.value: Any = "Haus"
        self.app = FastAPI()

        async def block(x_block: Annotated[str, Header()] = ""):
            if not x_block:
                yield
                return
            with getattr(cache, x_block)():
                yield

        @self.app.get("/words/{word_id}", dependencies=[Depends(block)])
        @cached_route(**{"key_prefix": "vocabulary", "cache": cache, **options})
        async def read_word(word_id: int) -> Any:
            self.runs += 1
            return {"run": self.runs, "word": self.value}

        self.read_word = read_word

    async def outcomes(self, times: int, **headers: str) -> list[str]:
        """``X-Cache`` of some requests."""
        async with client_of(self.app, headers=headers) as client:
            return [(await client.get("/words/7")).headers["x-cache"] for _ in range(times)]


async def test_a_function_of_the_returned_value_decides_how_long_it_is_stored(cache):
    route = Route(cache, ttl=lambda answer: "5m" if answer["word"] else None)
    assert await route.outcomes(2) == ["miss", "hit"]
    await route.read_word.invalidate(word_id=7)
    route.value = None
    assert await route.outcomes(3) == ["miss", "miss", "miss"]
    route.value = "Haus"
    assert await route.outcomes(2) == ["miss", "hit"]


async def test_a_value_that_is_not_stored_answers_those_who_wait(cache):
    route = Route(cache, ttl=lambda answer: 0)
    async with client_of(route.app) as client:
        answers = await asyncio.gather(*[client.get("/words/7") for _ in range(5)])
    assert {answer.headers["x-cache"] for answer in answers} == {"miss"}
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-cache"}


async def test_a_large_body_is_not_stored(cache):
    route = Route(cache, max_bytes=100)
    route.value = "x" * 100
    assert await route.outcomes(2) == ["miss", "miss"]
    route.value = "x"
    assert await route.outcomes(2) == ["miss", "hit"]


async def test_a_request_can_go_past_the_cache_and_refresh_it(cache):
    route = Route(cache)
    assert await route.outcomes(2) == ["miss", "hit"]
    assert await route.outcomes(2, **{"x-block": "bypassed"}) == ["bypass", "bypass"]
    assert await route.outcomes(1) == ["hit"]
    assert await route.outcomes(1, **{"x-block": "refreshing"}) == ["miss"]
    async with client_of(route.app) as client:
        assert (await client.get("/words/7")).json() == {"run": 4, "word": "Haus"}


async def test_a_writer_invalidates_a_route(cache):
    route = Route(cache)

    @cache.invalidates(route.read_word)
    async def edit_word(word_id: int) -> None: ...

    assert await route.outcomes(2) == ["miss", "hit"]
    await edit_word(7)
    assert await route.outcomes(1) == ["miss"]


async def test_a_trace_names_what_a_route_was(cache):
    route = Route(cache)
    with cache.traced() as trace:
        await route.outcomes(2)
    assert [(call.function, call.outcome) for call in trace] == [("read_word", "miss"), ("read_word", "hit")]
    async with client_of(CacheTraceMiddleware(route.app, cache=cache)) as client:
        assert "read_word" in (await client.get("/words/7")).headers["server-timing"]
