"""Finding the primary of a service through its sentinels, and leaving one that was replaced.

An old primary that was stopped and wakes up takes itself for the primary for about 10 s more. A process whose
connection survived would read old values there; so links are dropped when the sentinels say so
(`SentinelWatch`), and each new one begins with asking them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.sentinel.reply import (
    Primary,
    SentinelError,
    ask_primary,
    explain_refusal,
)
from langcache_cli.caching._deployment.sentinel.watch import SentinelWatch
from langcache_cli.caching._errors import ConnectionLostError, ServerReplyError
from langcache_cli.caching._tasks import own_task
from langcache_cli.caching._wire.connection import ask
from langcache_cli.caching._wire.externals import Connect, Connection
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.replies import answer

logger = logging.getLogger("langcache_cli.caching")

SENTINEL_SECONDS = 0.1
"""Sentinels that have not answered by then are not waited for, if any other has."""

PART_OF_TIMEOUT = 0.8
"""If none has answered, so much of the time for a command may pass; what is left is for saying so."""

BELIEVED_SECONDS = 10.0
"""So long after a sentinel has confirmed an epoch nothing older is believed. All sentinels learn of a
failover within seconds; if the epoch goes back for good, the service was set up anew."""


class Sentinels:
    """The way of one event loop to the primary of a service."""

    def __init__(self, target: RedisTarget, connect: Connect, *, timeout: float, watched: bool) -> None:
        """Prepare; nothing is connected yet.

        Args:
            target: Names the sentinels and the service.
            connect: Opens a connection to one server or sentinel.
            timeout: Seconds that a command may take.
            watched: False to not notice failovers, for connections that are dropped at once after use.
        """
        self._sentinels = target.sentinels
        self._service = target.service
        self._open = connect
        self._patience = max(SENTINEL_SECONDS, PART_OF_TIMEOUT * timeout)
        self._loop = asyncio.get_running_loop()
        self._clock = IdleClock()
        self._newest: Primary | None = None
        self._believed_until = 0.0
        self._links: dict[Connection, Primary] = {}
        self._watch = (
            SentinelWatch(self._sentinels, self._service, connect, on_view=self.notice) if watched else None
        )

    async def connect(self, address: RedisAddress) -> Connection:
        """Connect to the present primary.

        Args:
            address: Login, TLS, database and options; its host and port are not used.

        Raises:
            OSError: No connection, no sentinel that answers, or what the sentinels name is no primary.
            ServerReplyError: The primary refused the user or password.
        """
        primary = await self.resolve()
        connection = await self._open(replace(address, host=primary.host, port=primary.port, shown_as=""))
        try:
            await self._require_primary(connection, primary)
        except BaseException:  # a cancelled attempt, too, leaves no socket open
            connection.abort()
            raise
        self._links[connection] = primary
        connection.call_at_end(lambda: self._links.pop(connection, None))
        if self._watch is not None:
            self._watch.start()
        return connection

    async def resolve(self) -> Primary:
        """The primary by the answers of most sentinels, of which the one with the highest epoch counts.

        Raises:
            OSError: None answers, they refuse, or they do not know of the latest failover yet.
        """
        answers: list[Primary] = []
        problems: list[str] = []
        await self._ask_all(answers, problems)
        if not answers:
            # what a sentinel said tells more than a connection that failed
            raise SentinelError(problems[0] if problems else self._silence)
        best = max(answers)
        if best.epoch < self._oldest_believed():
            raise SentinelError(f"the sentinels do not agree yet which server is {self._service!r}")
        self.notice(best)
        return best

    def notice(self, primary: Primary) -> None:
        """Take the view of a sentinel, and drop the links to another server if it is up to date."""
        if primary.epoch < self._oldest_believed():
            return
        self._newest, self._believed_until = primary, self._loop.time() + BELIEVED_SECONDS
        left = [connection for connection, linked in self._links.items() if not linked.is_at(primary)]
        if left:
            logger.warning(
                "the primary of %r is %s:%d now; the connections to the one before are dropped",
                self._service,
                primary.host,
                primary.port,
            )
        for connection in left:
            connection.abort()

    def abandon(self) -> list[asyncio.Task[None]]:
        """End the watch. Works after the loop has closed, too.

        Returns:
            Tasks under way, which should be cancelled if the loop still runs.
        """
        return self._watch.abandon() if self._watch is not None else []

    @property
    def _count(self) -> str:
        number = len(self._sentinels)
        return f"{number} sentinels" if number > 1 else "1 sentinel"

    @property
    def _silence(self) -> str:
        # a port without TLS waits for the end of the first line, which never comes
        hint = (
            "; if they do without TLS, add sentinel_tls=false to REDIS_URL" if self._sentinels[0].tls else ""
        )
        return f"none of {self._count} answers in time{hint}"

    def _oldest_believed(self) -> int:
        """The lowest epoch that may be right."""
        if self._newest is None or self._loop.time() > self._believed_until:
            return 0
        return self._newest.epoch

    def _decided(self, answers: Sequence[Primary]) -> bool:
        is_majority = 2 * len(answers) > len(self._sentinels)
        return is_majority and max(answers).epoch >= self._oldest_believed()

    async def _ask_all(self, answers: list[Primary], problems: list[str]) -> None:
        """Ask all at once, until most have answered; the best explanation of a problem comes first."""
        asking: dict[asyncio.Future[Any], RedisAddress] = {
            own_task(self._loop, self._ask(sentinel), name="langcache-sentinel"): sentinel
            for sentinel in self._sentinels
        }
        pending = set(asking)
        try:
            with self._alarm(SENTINEL_SECONDS) as soon, self._alarm(self._patience) as late:
                while pending and not self._decided(answers):
                    if late.done() or (soon.done() and answers):
                        break
                    alarms = {alarm for alarm in (soon, late) if not alarm.done()}
                    done, _ = await asyncio.wait(pending | alarms, return_when=asyncio.FIRST_COMPLETED)
                    for task in done & pending:
                        self._take(task, asking[task], answers, problems)
                    pending -= done
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def _take(
        self,
        task: asyncio.Future[Any],
        sentinel: RedisAddress,
        answers: list[Primary],
        problems: list[str],
    ) -> None:
        error = task.exception()
        if error is None:
            answers.append(task.result())
        elif isinstance(error, ServerReplyError):
            problems.insert(0, explain_refusal(error, sentinel))
        elif isinstance(error, SentinelError):
            problems.insert(0, str(error))
        elif isinstance(error, OSError):
            problems.append(f"none of {self._count} answers: {error}")
        else:
            raise error

    async def _ask(self, sentinel: RedisAddress) -> Primary:
        try:
            connection = await self._open(sentinel)
        except UnicodeError as error:
            raise OSError(f"{sentinel.host!r} is not a host name") from error
        try:
            return await ask_primary(connection, self._service)
        finally:
            connection.abort()

    async def _require_primary(self, connection: Connection, primary: Primary) -> None:
        is_replica = connection.server is not None and connection.server.is_replica
        if connection.server is None:  # no right to INFO
            (role,) = await ask(connection, [("ROLE",)])
            # no right to ROLE either: writes will be refused if it is none
            is_replica = isinstance(role, list) and role[0] != b"master"
        if is_replica:
            raise SentinelError(
                f"{primary.host}:{primary.port} is the primary of {self._service!r} by its sentinels, "
                "and none yet"
            )
        if primary.epoch < self._oldest_believed():
            raise SentinelError(f"{primary.host}:{primary.port} was replaced while it was being connected")
        if not connection.alive:
            raise ConnectionLostError("the server closed the connection")

    @contextmanager
    def _alarm(self, seconds: float) -> Iterator[asyncio.Future[None]]:
        """A future that is done after ``seconds`` in which the event loop was free."""
        alarm: asyncio.Future[None] = self._loop.create_future()
        timer = self._clock.call_after(seconds, lambda: answer(alarm, None))
        try:
            yield alarm
        finally:
            timer.cancel()
