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
from langcache_cli.caching._sync.thread_connections import ThreadConnections
from langcache_cli.caching._sync.thread_hits import ThreadHits


class TimeSpent(NamedTuple):
    """A look-up that Redis did not answer: what is left for the rest of the call.

    Attributes:
        reader: The reader of the function on the background loop.
        keys: Of the entry and its tags.
        time_left: Seconds that Redis may still add to the call.
    """

    reader: Reader
    keys: KeyAndTags
    time_left: float

    async def answer(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """The value of the call, on the background loop."""
        key, *tag_keys = self.keys
        call = self.reader.call(EntryKeys(key, tuple(tag_keys)), partial(function, *args, **kwargs))
        call.load.budget.left = max(self.time_left, 0.0)
        return await call.answer()


class ThreadReads:
    """The reads of one function by threads."""

    def __init__(self, reader: Reader, connections: ThreadConnections) -> None:
        """Read as ``reader`` does, which belongs to the background loop."""
        runtime = reader.runtime
        self._hits = hits = ThreadHits(runtime, reader.label)
        self.reader = reader
        self._near = reader.near
        self._connections = connections
        self._current = connections.current
        self._keys = reader.compiled_keys
        self._unconfirmed = runtime.outbox.unconfirmed
        self._timeout = runtime.server.timeout
        self._tagged = reader.spec.is_tagged
        self._refreshes = reader.lifetime.refreshes
        reading = reader.counting_with(hits.count)
        self._servable_value, self._draw_refresh = reading.servable_value, reading.draw_refresh
        reader.call_at_end(hits.retire)
        reader.call_at_end(connections.end)

    @classmethod
    def of(cls, reader: Reader, connections: ThreadConnections | None) -> ThreadReads | None:
        """The reads of a function; None if all of its calls go through the loop."""
        lifetime = reader.lifetime
        if connections is None or lifetime.early_refresh:
            return None  # an early refresh is drawn once for each call
        return cls(reader, connections)

    def value(self, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The value of an entry, counted as a hit; `SLOW_PATH`; or `TimeSpent`."""
        started = monotonic()
        if self._near is not None:  # what Redis has is looked up by the loop, which keeps it in memory
            return self._near_value(self._near, key_args, kwargs, started)
        if self._unconfirmed or self.reader.misses_often or (connection := self._current()) is None:
            return SLOW_PATH
        try:
            keys = self._keys(*key_args, **kwargs)
        except TypeError:  # raised by the call on the loop, with an explanation
            return SLOW_PATH
        try:
            found = connection.look_up(keys)
        except OSError as error:
            self._connections.lost(error)
            return TimeSpent(self.reader, keys, self._timeout - (monotonic() - started))
        except BaseException:  # a signal handler: the reply would be taken for that to the next look-up
            self._connections.lost(None)
            raise
        self._connections.worked()
        if self._unconfirmed:  # again: an invalidation was asked for meanwhile
            return SLOW_PATH
        return SLOW_PATH if found is None else self._value_of(found, keys, started)

    def _near_value(
        self, near: NearReads, key_args: tuple[Any, ...], kwargs: Mapping[str, Any], started: float
    ) -> Any:
        try:
            key = self._keys(*key_args, **kwargs)[0]
        except TypeError:
            return SLOW_PATH
        value = near.peeked_value(key)
        if value is not SLOW_PATH:
            self._hits.count_near(key, monotonic() - started)
        return value

    def _value_of(self, found: list[bytes | None], keys: KeyAndTags, started: float) -> Any:
        values = found if self._tagged else found[0]
        if self._refreshes and self._draw_refresh(values):
            return SLOW_PATH
        try:
            return self._servable_value(values, keys, started, None)
        except LargeEntryError:
            return SLOW_PATH
