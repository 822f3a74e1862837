"""A commit after the response: no answer is older than without a cache, and none stays old.

A server that listens, as a client in the process of the application waits for the end of the dependencies.
Each program runs without the cache and with it, and its answers must be the same.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from langcache_cli.caching import Cache
from tests.harness.polling import aeventually
from tests.harness.web import CERTIFICATES
from tests.integration.cache_support import Gate
from tests.integration.commit_support import write

LATEST = text("SELECT count(*) FROM words")


class Backend:
    """Counts words, adds one, and stops where a test wants it to: the commit is shut, the others open."""

    def __init__(self, cache: Cache, engine: AsyncEngine) -> None:
        self.app = FastAPI()
        self.before_read, self.after_read = Gate(is_open=True), Gate(is_open=True)
        self.before_commit, self.after_commit = Gate(), Gate(is_open=True)

        async def get_db() -> AsyncIterator[AsyncSession]:
            async with AsyncSession(engine) as session:
                yield session
                await self.before_commit()
                await session.commit()
                await self.after_commit()

        late = Depends(get_db, scope="request")

        @cache.cached(key_prefix="vocabulary", tags=("words",))
        async def number_of_words() -> int:
            await self.before_read()
            async with AsyncSession(engine) as session:
                found = int((await session.execute(LATEST)).scalar_one())
            await self.after_read()
            return found

        self.app.get("/")(number_of_words)

        @self.app.post("/")
        async def add(db: AsyncSession = late) -> None:
            await write(db)
            cache.after_commit(db, tags=["words"])


class Client:
    """Talks to a backend over TCP."""

    def __init__(self, backend: Backend, http: httpx.AsyncClient) -> None:
        self.backend = backend
        self._http = http

    async def get(self) -> int:
        return (await self._http.get("/")).json()

    async def post(self) -> None:
        """Returns with the response, before the commit."""
        commits = self.backend.before_commit.arrived
        assert (await self._http.post("/")).status_code == 200
        await self.backend.before_commit.reached(commits + 1)

    async def commit(self) -> None:
        """Let it commit, and return when it has."""
        commits = self.backend.after_commit.arrived
        self.backend.before_commit.open()
        await self.backend.after_commit.reached(commits + 1)
        self.backend.before_commit.shut()

    async def begun(self, gate: Gate) -> "asyncio.Task[int]":
        """A `get` that has been answered, or else waits at a gate."""
        arrived = gate.arrived
        asked = asyncio.create_task(self.get())
        await aeventually(lambda: asked.done() or gate.arrived > arrived, every=0.001)
        return asked


class Server(uvicorn.Server):
    capture_signals = contextlib.nullcontext  # the test run's own stay as they are


@asynccontextmanager
async def served(backend: Backend) -> AsyncIterator[Client]:
    # with its protocol: else asyncio leaves Nagle's algorithm on, and each answer takes 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = Server(uvicorn.Config(backend.app, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=url, verify=CERTIFICATES) as http:
                yield Client(backend, http)
        finally:
            server.should_exit = True
            await serving


async def reads_after_the_commit(client: Client) -> list[int]:
    """A client that asks at once, and whose query reaches the database after the commit."""
    answers = [await client.get(), await client.get()]
    await client.post()
    client.backend.before_read.shut()
    asked = await client.begun(client.backend.before_read)
    await client.commit()
    client.backend.before_read.open()
    return [*answers, await asked, await client.get()]


async def reads_before_the_commit(client: Client) -> list[int]:
    """Clients that ask at once are told, and may have stored, what the database says until the commit."""
    answers = [await client.get(), await client.get()]
    await client.post()
    answers += [await client.get(), await client.get()]
    await client.commit()
    return [*answers, await client.get(), await client.get()]


async def stores_after_the_commit(client: Client) -> list[int]:
    """A client that has read the old value before the commit, and stores it after that."""
    answers = [await client.get(), await client.get()]
    await client.post()
    client.backend.after_read.shut()
    asked = await client.begun(client.backend.after_read)
    await client.commit()
    client.backend.after_read.open()
    return [*answers, await asked, await client.get(), await client.get()]


PROGRAMS = {
    reads_after_the_commit: [0, 0, 1, 1],
    reads_before_the_commit: [1, 1, 1, 1, 2, 2],
    stores_after_the_commit: [2, 2, 2, 3, 3],
}


async def test_answers_are_those_of_the_application_without_a_cache(engine, compare):
    async def every(cache: Cache) -> Any:
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM words"))
        async with served(Backend(cache, engine)) as client:
            return {program: await program(client) for program in PROGRAMS}

    assert await compare(every) == PROGRAMS
