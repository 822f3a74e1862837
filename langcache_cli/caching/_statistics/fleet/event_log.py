"""What happened to the cache of the fleet, in the stream ``cache@stats:events``.

Removals of single keys and tags are counted instead: there are thousands a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._statistics.actor import NOT_NOTED, acting_as, current_actor
from langcache_cli.caching._statistics.fleet.tiers import HOURS, stats_stem
from langcache_cli.caching._wire.budget import Budget

KEPT = 1000
"""About so many events; 65 bytes each."""

WRITE_SECONDS = 1.0

OUTAGE, START = "outage", "start"

ROLLOUT_SECONDS = 120.0
"""Processes of one program that start with no longer pauses belong together."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """Something that happened.

    Attributes:
        at: When it ended, in seconds since 1970.
        what: ``clear``, ``warm``, ``outage``, ``overflow`` of an outbox, or ``start`` of processes.
        target: What it was done to: a cache type, a pattern, a server, a program.
        count: Keys removed, entries stored, calls that went past the cache, invalidations that were merged
            into one of the whole namespace, or processes.
        seconds: How long it took or lasted.
        by: Who did it, or whose process noticed it.
        via: With what: ``api``, ``http`` or ``langcache``.
    """

    at: float
    what: str
    target: str
    count: int
    seconds: float
    by: str
    via: str


class EventLog:
    """Writes and reads the events. A write that fails is dropped: the action it is about has been done."""

    def __init__(
        self,
        server: Server,
        namespace: str,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._server = server
        self._key = f"{stats_stem(namespace)}events"
        self._spawn = spawn

    def write_soon(self, what: str, target: str, *, count: int = 0, seconds: float = 0.0) -> None:
        """Write an event in the background; see `LoggedEvent`."""
        by, via = current_actor()
        if via == NOT_NOTED:
            return
        fields = ("what", what, "target", target, "count", count, "s", f"{seconds:.3f}", "by", by, "via", via)
        self._spawn(self._write(fields))

    def overflowed(self, number: int) -> None:
        """Write that so many invalidations were merged into one of the whole namespace."""
        with acting_as(via="api"):
            self.write_soon("overflow", "outbox", count=number)

    async def recent(self, limit: int, budget: Budget | None = None) -> list[LoggedEvent]:
        """The latest events, newest first.

        An outage that several processes have noticed is one event, and so are processes that start together.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        (reply,) = await self._server.call_many(
            [("XREVRANGE", self._key, "+", "-", "COUNT", limit)], budget=budget
        )
        if isinstance(reply, ServerReplyError):
            if reply.code in ("WRONGTYPE", "NOPERM"):  # of another use, or of a user that may not read it
                return []
            raise reply
        return _joined([event for entry in reply if (event := _parsed(*entry)) is not None])

    async def _write(self, fields: tuple[str | int, ...]) -> None:
        commands = [
            ("XADD", self._key, "MAXLEN", "~", KEPT, "*", *fields),
            ("EXPIRE", self._key, HOURS.kept_seconds),
        ]
        with suppress(CacheError):
            await self._server.call_many(commands, budget=Budget(WRITE_SECONDS))


def _parsed(entry_id: bytes, words: list[bytes]) -> LoggedEvent | None:
    """An entry of the stream; None if it is damaged."""
    fields = {
        name: value.decode("utf-8", "replace") for name, value in zip(words[::2], words[1::2], strict=True)
    }
    try:
        written, seconds = int(entry_id.partition(b"-")[0]) / 1000, float(fields[b"s"])
        is_start = fields[b"what"] == START  # it is noted when it is some time ago
        return LoggedEvent(
            at=written - seconds if is_start else written,
            what=fields[b"what"],
            target=fields[b"target"],
            count=int(fields[b"count"]),
            seconds=0.0 if is_start else seconds,
            by=fields[b"by"],
            via=fields[b"via"],
        )
    except (KeyError, ValueError):
        return None


def _joined(events: list[LoggedEvent]) -> list[LoggedEvent]:
    """Outages of one server that overlap, and starts of one program in a row, become one of all processes."""
    found: list[LoggedEvent] = []
    for event in sorted(events, key=lambda event: -event.at):
        place = next((place for place, other in enumerate(found) if _are_one(event, other)), None)
        if place is None:
            found.append(event)
            continue
        other = found[place]
        start = min(event.at - event.seconds, other.at - other.seconds)
        found[place] = LoggedEvent(
            at=other.at,  # the newer one
            what=other.what,
            target=other.target,
            count=event.count + other.count,
            seconds=round(other.at - start, 3),
            by=other.by,
            via=other.via,
        )
    return found


def _are_one(event: LoggedEvent, newer: LoggedEvent) -> bool:
    if (event.what, event.target) != (newer.what, newer.target) or event.what not in (OUTAGE, START):
        return False
    longest_gap = ROLLOUT_SECONDS if event.what == START else 0.0
    return event.at >= newer.at - newer.seconds - longest_gap
