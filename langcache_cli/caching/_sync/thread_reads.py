"""Hits that a thread finds by itself: it asks Redis over a connection of its own, and no other thread runs.

Going through the background loop costs two changes of thread, as much as the look-up. Whatever is not plainly
a hit goes there: misses, waits, refreshes, large values, entries in memory, and every doubt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from langcache_cli.caching._functions.spec import EntryKeys
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.near_reads import SLOW_PATH, NearReads
from langcache_cli.caching._loading.reader import LargeEntryError, Reader
from langcache_cli.caching._protocol.store import Seen, seen_in
from langcache_cli.caching._sync.thread_connections import ThreadConnections
from langcache_cli.caching._sync.thread_hits import ThreadHits


class Begun(NamedTuple):
    """A call whose look-up shows no plain hit: what the rest of it goes on from, on the background loop.

    Attributes:
        reader: The reader of the function there.
        keys: Of the entry and its tags.
        seen: What was found; None if Redis did not answer.
        started: When the call began, by `time.monotonic`.
        loads_before: `RunningLoads.started` then.
        refresh_due: The decision of `Lifetime.draw_refresh`.
    """

    reader: Reader
    keys: KeyAndTags
    seen: Seen | None
    started: float
    loads_before: int
    refresh_due: bool = False

    async def answer(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """The value of the call."""
        reader, address = self.reader, EntryKeys(self.keys[0], self.keys[1:])
        call = reader.call(address, partial(function, *args, **kwargs), loads_before=self.loads_before)
        call.load.budget.left = max(call.load.budget.left - (monotonic() - self.started), 0.0)
        await reader.runtime.admission.admitted()
        seen = self.seen if call.load.may_read() else None
        return await reader.go_on(call, seen, self.started, refresh_due=self.refresh_due)


class ThreadReads:
    """The reads of one function by threads."""

    def __init__(self, reader: Reader, connections: ThreadConnections) -> None:
        """Read as ``reader`` does, which belongs to the background loop."""
        runtime = reader.runtime
        self._hits = hits = ThreadHits(runtime, reader.label)
        self.reader = reader
        # of entries in memory the loop looks up what is in Redis, and keeps it
        near = reader.near
        self.value = self._value if near is None else partial(self._near_value, near)
        """The value of an entry for the arguments of a call, counted as a hit; `SLOW_PATH`; or `Begun`."""
        self._look_up = connections.look_up
        self._keys = reader.compiled_keys
        self._unconfirmed = runtime.outbox.unconfirmed
        self._running_loads = runtime.running_loads
        self._tagged = reader.spec.is_tagged
        self._refreshes = reader.lifetime.refreshes
        reading = reader.counting_with(hits.count)
        self._servable_value, self._draw_refresh = reading.servable_value, reading.draw_refresh
        reader.call_at_end(hits.retire)
        reader.call_at_end(connections.end)

    @classmethod
    def of(cls, reader: Reader, connections: ThreadConnections | None) -> ThreadReads | None:
        """The reads of a function; None if all of its calls go through the loop."""
        return cls(reader, connections) if connections is not None else None

    def _value(self, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        started = monotonic()
        if self._unconfirmed or self.reader.misses_often:
            return SLOW_PATH
        loads_before = self._running_loads.started
        try:
            keys = self._keys(*key_args, **kwargs)
        except TypeError:  # raised by the call on the loop, with an explanation
            return SLOW_PATH
        try:
            found = self._look_up(keys)
        except TimeoutError:
            return Begun(self.reader, keys, None, started, loads_before)
        if found is None or self._unconfirmed:  # again: an invalidation was asked for meanwhile
            return SLOW_PATH
        values = found if self._tagged else found[0]
        refresh_due = self._refreshes and self._draw_refresh(values)
        try:
            value = SLOW_PATH if refresh_due else self._servable_value(values, keys, started, None)
        except LargeEntryError:
            value = SLOW_PATH
        if value is not SLOW_PATH:
            return value
        seen = seen_in(values, tagged=self._tagged)
        return Begun(self.reader, keys, seen, started, loads_before, refresh_due)

    def _near_value(self, near: NearReads, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        started = monotonic()
        try:
            key = self._keys(*key_args, **kwargs)[0]
        except TypeError:
            return SLOW_PATH
        value = near.peeked_value(key)
        if value is not SLOW_PATH:
            self._hits.count_near(key, monotonic() - started)
        return value
