"""One page of 250 words, in three ways: without a cache, `cached`, and `cached_route`. Served by uvicorn."""

from __future__ import annotations

from fastapi import FastAPI

from benchmarks.words import Word, word
from langcache_cli.caching import cached
from langcache_cli.fastapi import cache_lifespan, cache_router, cached_route

WORDS = 250

app = FastAPI(lifespan=cache_lifespan())
app.include_router(cache_router())


@app.get("/plain")
async def plain() -> list[Word]:
    """No cache: the words are made here, which costs nothing next to a database."""
    return [word(number) for number in range(WORDS)]


@app.get("/cached")
@cached(key_prefix="vocabulary")
async def cached_words() -> list[Word]:
    """A hit is decoded into 250 objects and encoded again."""
    return [word(number) for number in range(WORDS)]


@app.get("/route")
@cached_route(key_prefix="vocabulary")
async def stored_words() -> list[Word]:
    """A hit is sent as it is stored."""
    return [word(number) for number in range(WORDS)]


@app.get("/near")
@cached_route(key_prefix="vocabulary", local_ttl=3600)
async def near_words() -> list[Word]:
    """The same from the memory of the process."""
    return [word(number) for number in range(WORDS)]
