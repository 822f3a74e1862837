"""The functions of the history checker behind HTTP; see `test_web.py`."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import after_commit, get_default_cache
from langcache_cli.fastapi import cache_lifespan, cache_router
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


app = FastAPI(lifespan=cache_lifespan(lifespan))
app.include_router(cache_router())


@app.get("/{name}/{item}")
async def read(name: str, item: int) -> dict[str, int | str]:
    """The value of a cached function."""
    function = app.state.functions[name]
    async with AsyncSession(app.state.engine) as session:
        value = await function.call(item, *((session,) if name == "video" else ()))
    found, number, version = function.unpack(value)
    return {"worker": os.getpid(), "name": found, "item": number, "version": version}


@app.post("/{name}/{item}")
async def change(name: str, item: int) -> dict[str, int | bool]:
    """Count up, and invalidate when that is committed: by key, or by tag."""
    function = app.state.functions[name]
    counter = (COUNTERS.c.name == name) & (COUNTERS.c.item == item)
    statement = update(COUNTERS).where(counter).values(version=COUNTERS.c.version + 1)
    async with AsyncSession(app.state.engine) as session:
        version = (await session.execute(statement.returning(COUNTERS.c.version))).scalar_one()
        tags = function.tags(item)[:1]
        after_commit(session, *(() if tags else (function.call.key_for(item=item),)), tags=tags)
        await session.commit()
    return {"version": version, "acknowledged": not get_default_cache().pending_invalidations}
