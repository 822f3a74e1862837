"""The functions of the history checker behind HTTP; see `test_web.py`."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Response
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import after_commit, get_default_cache
from langcache_cli.fastapi import cache_lifespan, cache_router, cached_route
from tests.history.subjects import COUNTERS, functions


async def pause() -> None:
    """As slow as loads are."""
    await asyncio.sleep(0.02 * random.random() ** 3)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database."""
    app.state.engine = create_async_engine(os.environ["DATABASE_URL"].replace("://", "+asyncpg://"))
    app.state.functions = functions(get_default_cache(), app.state.engine, pause)
    yield
    await app.state.engine.dispose()


def name_worker(response: Response) -> None:
    """Say which worker answers."""
    response.headers["x-worker"] = str(os.getpid())


app = FastAPI(lifespan=cache_lifespan(lifespan), dependencies=[Depends(name_worker)])
app.include_router(cache_router())


@app.get("/subtitles/{item}")
@cached_route(key_prefix="subtitles", ttl=600, local_ttl=60)
async def read_subtitles(item: int) -> dict[str, int | str]:
    """What the database holds, as a route that sends stored bytes."""
    query = select(COUNTERS.c.version).where(COUNTERS.c.name == "subtitles", COUNTERS.c.item == item)
    async with AsyncSession(app.state.engine) as session:
        version = (await session.execute(query)).scalar_one()
    await pause()
    return {"name": "subtitles", "item": item, "version": version}


@app.get("/{name}/{item}")
async def read(name: str, item: int) -> dict[str, int | str]:
    """The value of a cached function."""
    function = app.state.functions[name]
    async with AsyncSession(app.state.engine) as session:
        value = await function.call(item, *((session,) if name == "video" else ()))
    found, number, version = function.unpack(value)
    return {"name": found, "item": number, "version": version}


@app.post("/{name}/{item}")
async def change(name: str, item: int) -> dict[str, int | bool]:
    """Count up, and invalidate when that is committed: by key, or by tag."""
    function = app.state.functions[name]
    route = read_subtitles if name == "subtitles" else function.call
    counter = (COUNTERS.c.name == name) & (COUNTERS.c.item == item)
    statement = update(COUNTERS).where(counter).values(version=COUNTERS.c.version + 1)
    async with AsyncSession(app.state.engine) as session:
        version = (await session.execute(statement.returning(COUNTERS.c.version))).scalar_one()
        tags = function.tags(item)[:1]
        after_commit(session, *(() if tags else (route.key_for(item=item),)), tags=tags)
        await session.commit()
    return {"version": version, "acknowledged": not get_default_cache().pending_invalidations}
