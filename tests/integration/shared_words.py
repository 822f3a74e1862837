"""Functions that Celery tasks and the routes of a FastAPI application share.

Each run of a function adds a line to a file; the value is the number that another file holds.
"""

import asyncio
import os
import time
from pathlib import Path

from fastapi import FastAPI

from langcache_cli.caching import cached, invalidate_tags
from langcache_cli.fastapi import cache_lifespan, cache_router

FOLDER = Path(os.environ["SHARED_WORDS"])
RUNS, VERSION = FOLDER / "runs", FOLDER / "version"
LOAD_SECONDS = 0.4


def run_of(name: str, item: int) -> list[int]:
    with RUNS.open("a") as file:
        file.write(f"{name} {item}\n")
    return [item, int(VERSION.read_text())]


@cached(key_prefix="vocabulary", tags=("word:{item}",))
def find_word(item: int) -> list[int]:
    value = run_of("find", item)
    time.sleep(LOAD_SECONDS)
    return value


@cached(key_prefix="vocabulary", tags=("word:{item}",))
async def read_word(item: int) -> list[int]:
    value = run_of("read", item)
    await asyncio.sleep(LOAD_SECONDS)
    return value


app = FastAPI(lifespan=cache_lifespan())
app.include_router(cache_router())


@app.get("/find/{item}")
def find(item: int) -> list[int]:
    return find_word(item)


@app.get("/read/{item}")
async def read(item: int) -> list[int]:
    return await read_word(item)


@app.post("/invalidate/{item}")
async def invalidate(item: int) -> int:
    return await invalidate_tags(f"word:{item}")
