"""`CacheTraceMiddleware`: what the cache did for a request, in a header of its response."""

import asyncio
import re

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from langcache_cli.caching import cached_many
from langcache_cli.caching.testing import memory_cache
from langcache_cli.fastapi import CacheTraceMiddleware

ENTRY = re.compile(r'cache;desc="([^"]*)";dur=([0-9.]+)')


@pytest.fixture
async def cache():
    async with memory_cache() as cache:
        yield cache


@pytest.fixture
def app(cache) -> FastAPI:
    @cache.cached(key_prefix="words")
    async def get_word(word: str) -> str:
        return word

    @cached_many(get_word, each="words")
    async def get_words(words: list[str]) -> list[str]:
        return words

    app = FastAPI()

    @app.get("/words/{word}")
    async def read(word: str) -> list[str]:
        return [await get_word(word), await get_word(word)]

    @app.get("/many/{count}")
    async def read_many(count: int) -> int:
        return len(await get_words([f"word {number}" for number in range(count)]))

    @app.get("/nothing")
    async def nothing() -> None: ...

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def body():
            yield str(cache.direct)

        return StreamingResponse(body(), headers={"Server-Timing": "app;dur=1"})

    return app


async def timings(app, path: str, **headers: str) -> list[str]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get(path, headers=headers)
        assert response.status_code == 200
        return response.headers.get_list("Server-Timing")


def described(header: str) -> list[str]:
    entries = header.split(", ")
    found = [ENTRY.fullmatch(entry) for entry in entries]
    assert all(match is not None and float(match[2]) < 30_000 for match in found), header
    return [match[1] for match in found if match is not None]


async def test_names_outcomes_and_times_in_order_and_no_arguments(cache, app):
    app.add_middleware(CacheTraceMiddleware, cache=cache)
    (header,) = await timings(app, "/words/secret")
    assert described(header) == ["get_word miss", "get_word hit"]
    assert await timings(app, "/nothing") == []


async def test_only_where_the_application_wants_it(cache, app):
    def wants(scope) -> bool:
        return any(name == b"x-debug" for name, _ in scope["headers"])

    app.add_middleware(CacheTraceMiddleware, cache=cache, when=wants)
    assert await timings(app, "/words/a") == []
    (header,) = await timings(app, "/words/a", **{"X-Debug": "1"})
    assert described(header) == ["get_word hit", "get_word hit"]


async def test_keys_are_shown_on_demand_as_ascii(cache, app):
    app.add_middleware(CacheTraceMiddleware, cache=cache, keys=True)
    (header,) = await timings(app, '/words/Bär"; x')
    assert described(header)[1] == "cache:words:get_word:B%C3%A4r%22%3B x hit"


async def test_the_header_is_limited_in_number_and_length(cache, app):
    app.add_middleware(CacheTraceMiddleware, cache=cache)
    (header,) = await timings(app, "/many/1000")
    assert described(header) == ["get_word miss"] * 20 + ["980 more"]
    long = CacheTraceMiddleware(app, cache=cache, max_entries=1000)
    (header, _) = await timings(long, "/many/1000")
    assert len(header) <= 2048
    assert described(header)[-1].endswith(" more")


async def test_each_request_has_its_own_behind_other_middleware_too(cache, app):
    class Other(BaseHTTPMiddleware):  # runs the application in a task of its own
        async def dispatch(self, request, call_next):
            return await call_next(request)

    app.add_middleware(Other)
    app.add_middleware(CacheTraceMiddleware, cache=cache)
    headers = await asyncio.gather(*(timings(app, f"/words/{number}") for number in range(20)))
    assert [described(header) for (header,) in headers] == [["get_word miss", "get_word hit"]] * 20
    assert cache.direct is True


async def test_nothing_is_recorded_once_a_response_has_begun_and_headers_of_others_stay(cache, app):
    app.add_middleware(CacheTraceMiddleware, cache=cache)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/stream")
    assert response.text == "True"
    assert response.headers.get_list("Server-Timing") == ["app;dur=1"]


async def test_starlette_without_fastapi(cache):
    @cache.cached(key_prefix="words")
    async def get_word(word: str) -> str:
        return word

    async def read(request) -> PlainTextResponse:
        return PlainTextResponse(await get_word("a"))

    app = CacheTraceMiddleware(Starlette(routes=[Route("/", read)]), cache=cache)
    (header,) = await timings(app, "/")
    assert described(header) == ["get_word miss"]
