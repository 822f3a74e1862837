"""From when on a connection proves that the near cache is current: from the request, not from its answer."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from langcache_cli.caching._near import one_server, tracking
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from langcache_cli.caching._near.memory import NearMemory
from langcache_cli.caching._near.one_server import OneServerNear
from langcache_cli.caching._near.tracking import NearFill

START = 1000.0
LATE = 0.8 * MAX_LAG_SECONDS
KEYS = ("cache:vocabulary:1",)


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


class Requested:
    def __init__(self) -> None:
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()


class Connection:
    """Takes requests, and answers when a test says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[Sequence[Any], Requested]] = []

    def listen(self, *_: Any) -> None:
        pass

    def request(self, commands: Sequence[Any]) -> Requested:
        self.requests.append((commands, Requested()))
        return self.requests[-1][1]

    async def answer(self, name: str) -> None:
        """Answer the last request, which is this command."""
        commands, requested = self.requests[-1]
        assert commands[-1][0] == name
        requested.future.set_result([b"OK"] * len(commands))
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(one_server, "monotonic", clock)
    return clock


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
async def near(clock: Clock, connection: Connection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracking, "SUPPORTS_PUSH", True)  # this connection does, also beside an old hiredis
    near = OneServerNear(NearMemory(10_000), "cache")
    near.start_tracking(connection)
    await connection.answer("CLIENT")
    yield near
    near.stop()


def keep(near: OneServerNear, *, sent_at: float) -> None:
    ttl = asyncio.get_running_loop().create_future()
    fill = NearFill(near.memory.generation, sent_at, ttl)
    near.keep(KEYS, b"[1]", [1], fill, expires_at=START + 60, codec=None)


def served(near: OneServerNear, at: float) -> bool:
    return near.get(KEYS[0], at) is not None


async def test_a_look_up_proves_from_when_it_was_sent(near, clock):
    clock.now = START + LATE  # when the answer came
    keep(near, sent_at=START)
    assert served(near, START + 0.99 * MAX_LAG_SECONDS)
    assert not served(near, START + 1.01 * MAX_LAG_SECONDS)


async def test_a_ping_proves_from_when_it_was_sent(near, clock, connection):
    keep(near, sent_at=START)
    clock.now = START + LATE
    assert served(near, clock.now)  # and sends a ping
    clock.now += LATE
    assert not served(near, clock.now)
    await connection.answer("PING")
    assert served(near, START + LATE + 0.99 * MAX_LAG_SECONDS)
    assert not served(near, START + LATE + 1.01 * MAX_LAG_SECONDS)


async def test_an_older_proof_takes_nothing_from_a_newer_one(near, clock, connection):
    keep(near, sent_at=START)
    assert served(near, START)
    keep(near, sent_at=START + LATE)
    await connection.answer("PING")
    assert served(near, START + 1.5 * MAX_LAG_SECONDS)


async def test_a_poll_returns_after_what_had_arrived_was_read(near):
    """The callbacks of a socket run behind a task that was waiting for the same turn of the loop."""
    ours, theirs = socket.socketpair()
    read = []
    loop = asyncio.get_running_loop()
    with ours, theirs:
        loop.add_reader(ours, lambda: read.append(ours.recv(1)))
        theirs.send(b"x")
        await near.poll()
        loop.remove_reader(ours)
    assert read == [b"x"]
