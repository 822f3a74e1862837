"""Learning of failovers from the sentinels: one link to each of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._deployment.sentinel.reply import Primary, ask_primary
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._tasks import own_task
from langcache_cli.caching._wire.connection import SUPPORTS_PUSH, ask, encode_command
from langcache_cli.caching._wire.externals import Connect, Connection
from langcache_cli.caching._wire.replies import answer, fail

ANSWER_SECONDS = 1.0
"""A sentinel that takes longer is connected to anew."""

BEAT_SECONDS = 5.0
"""A sentinel that pushes is asked so often all the same: a link may be dead without a sign."""

POLL_SECONDS = 1.0
"""One that may not push, or with hiredis before 3.2, is asked so often."""

FIRST_PAUSE_SECONDS = 0.05
LAST_PAUSE_SECONDS = 1.0
"""The pause before a lost link is made anew doubles from the first to the last, and varies at random."""

SWITCHED = "+switch-master"


class SentinelWatch:
    """Passes on what each sentinel says: at the beginning, after each failover, and now and then."""

    def __init__(
        self,
        sentinels: Sequence[RedisAddress],
        service: str,
        connect: Connect,
        *,
        on_view: Callable[[Primary], object],
    ) -> None:
        """Prepare; `start` connects.

        Args:
            sentinels: Their addresses.
            service: The name of the service.
            connect: Opens a connection.
            on_view: Called with each view of a sentinel.
        """
        self._sentinels = sentinels
        self._service = service
        self._connect = connect
        self._on_view = on_view
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._links: set[Connection] = set()
        self._abandoned = False
        call_in_child(self, "_start_in_child")

    def start(self) -> None:
        """Begin, unless it has begun or was abandoned."""
        if not self._tasks and not self._abandoned:
            self._tasks = [
                own_task(self._loop, self._follow_always(sentinel), name="langcache-sentinel-watch")
                for sentinel in self._sentinels
            ]

    def abandon(self) -> list[asyncio.Task[None]]:
        """Drop the links for good. Works after the loop has closed, too.

        Returns:
            Tasks under way, which should be cancelled if the loop still runs.
        """
        self._abandoned = True
        for link in tuple(self._links):
            link.abort()
        tasks, self._tasks = self._tasks, []
        return tasks

    def _start_in_child(self) -> None:
        """In the child of a fork: the links are the parent's. The next connection starts anew."""
        tasks, self._tasks = self._tasks, []
        if not self._loop.is_closed():
            for task in tasks:
                task.cancel()

    async def _follow_always(self, sentinel: RedisAddress) -> None:
        pause = FIRST_PAUSE_SECONDS

        def took_view(primary: Primary) -> None:
            nonlocal pause
            pause = FIRST_PAUSE_SECONDS
            self._on_view(primary)

        while True:
            with contextlib.suppress(OSError, UnicodeError, ServerReplyError):  # the next attempt may succeed
                await self._follow(sentinel, took_view)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads attempts, no secret
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def _follow(self, sentinel: RedisAddress, took_view: Callable[[Primary], object]) -> None:
        """Follow one sentinel until the link to it ends."""
        async with asyncio.timeout(ANSWER_SECONDS):
            link = await self._connect(sentinel)
        self._links.add(link)
        look = asyncio.Event()

        def wake() -> None:
            if not self._loop.is_closed():  # else nothing runs that could wake
                look.set()

        link.call_at_end(wake)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                beat = BEAT_SECONDS if await _subscribe(link, wake) else POLL_SECONDS
            while link.alive:
                look.clear()
                async with asyncio.timeout(ANSWER_SECONDS):
                    took_view(await ask_primary(link, self._service))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(beat):
                        await look.wait()
        finally:
            self._links.discard(link)
            link.abort()


async def _subscribe(link: Connection, on_switch: Callable[[], object]) -> bool:
    """Have the sentinel push failovers; False if it may not, or hiredis is too old for push messages."""
    if not SUPPORTS_PUSH:
        return False
    (greeting,) = await ask(link, [("HELLO", 3)])
    if isinstance(greeting, ServerReplyError):
        return False

    def on_push(message: list[Any]) -> None:
        if message[0] == b"message":
            on_switch()

    link.listen(on_push, on_switch)
    # Under RESP3 SUBSCRIBE is answered by a push alone, and PING is next; a refusal is a reply of its own.
    first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def receive(reply: Any) -> None:
        if isinstance(reply, OSError):
            fail(first, reply)
            return
        if isinstance(reply, ServerReplyError):
            link.send(b"", [lambda _: None])  # for the reply to PING, which is yet to come
        answer(first, reply)

    link.send(encode_command(("SUBSCRIBE", SWITCHED)) + encode_command(("PING",)), [receive])
    return not isinstance(await first, ServerReplyError)
