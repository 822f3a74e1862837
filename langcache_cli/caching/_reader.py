"""Calls that find what they look for: most of them, so nothing is made for them but the value.

Everything else, from a miss to an entry that may have to be renewed, is handed on to `Call`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langcache_cli.caching._calls import Call
from langcache_cli.caching._codec import UndecodableEntryError
from langcache_cli.caching._entry import MAX_HEADER_BYTES, plain_header
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._events import CacheEvent
from langcache_cli.caching._lifetimes import Lifetime
from langcache_cli.caching._loads import Load
from langcache_cli.caching._runtime import Runtime
from langcache_cli.caching._spec import Address, FunctionSpec
from langcache_cli.caching._statistics import Label
from langcache_cli.caching._store import seen_in

NOTHING = object()
"""Is no value."""


class Reader:
    """Answers the calls of one function on one event loop."""

    def __init__(self, runtime: Runtime, spec: FunctionSpec, label: Label, lifetime: Lifetime) -> None:
        """Prepare.

        Raises:
            TypeError: The function's return annotation cannot be used.
        """
        self.label = label
        self.lifetime = lifetime
        self._runtime = runtime
        self._spec = spec
        self._decode = spec.resolve().decode
        self._namespace = runtime.settings.namespace
        self._names = spec.compiled_names(self._namespace)
        self._match_header = plain_header(spec.codec.fingerprint)
        self._tagged = spec.is_tagged
        self._serves_at_once = not (lifetime.stale_seconds or lifetime.early_refresh)
        self._tally = runtime.statistics.tally(label)
        self._count_hit = self._tally.count_hit
        self._look_up = runtime.server.lookup_soon
        self._clock = runtime.server.clock
        self._board = runtime.board
        self._unconfirmed = runtime.outbox.unconfirmed
        self._events = runtime.events
        self._time = runtime.loop.time

    async def answer(
        self,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        key_args: tuple[Any, ...],
    ) -> Any:
        """The value of one call.

        Args:
            function: What a miss runs, with ``args`` and ``kwargs``.
            args: Positional arguments.
            kwargs: Arguments by name.
            key_args: ``args`` without the instance of a method, which is not part of the key.
        """
        try:
            names = self._names(*key_args, **kwargs)
        except TypeError:
            names = self._spec.names(self._namespace, *key_args, **kwargs)  # which says what is wrong
        began, started = self._board.departures, self._time()
        clock_started = started - self._clock.busy
        pending = None if self._unconfirmed else self._look_up(names)
        if pending is None:
            call = self.call(Address(names[0], names[1:]), functools.partial(function, *args, **kwargs))
            return await call.answer()
        seen = None
        try:
            found = await pending
        except CacheError:
            pass
        else:
            # asked again: a new connection may lead to a server that has forgotten invalidations
            if not self._unconfirmed:
                value = self._value(found, names[0], started)
                if value is not NOTHING:
                    return value
                seen = seen_in(found, tagged=self._tagged)
        call = self.call(
            Address(names[0], names[1:]), functools.partial(function, *args, **kwargs), began=began
        )
        call.load.budget.left = self._runtime.server.time_left(clock_started)
        return await call.go_on(seen, started)

    def call(
        self, address: Address, origin: Callable[[], Awaitable[Any]], *, began: int | None = None
    ) -> Call:
        """One call, to be answered or refreshed in all the ways there are.

        Args:
            address: Where its value is stored.
            origin: What a miss runs.
            began: How many loads there had been on the board when it began; None for now.
        """
        load = Load(self._runtime, self._spec, self.label, address, origin, lifetime=self.lifetime)
        return Call(load, began=began)

    def retire(self) -> None:
        """Nothing is counted any more: the event loop is about to end."""
        self._runtime.statistics.retire(self._tally)

    def _value(self, found: Any, key: str, started: float) -> Any:
        """That of an entry which can be served without another thought, counted; or `NOTHING`."""
        stored = found[0] if self._tagged else found
        if not stored or not self._serves_at_once:
            return NOTHING
        header = self._match_header(stored, 0, MAX_HEADER_BYTES)
        if header is None:
            return NOTHING
        if self._tagged:
            versions = found[1:]
            if None in versions or header[1] != b",".join(versions):
                return NOTHING
        elif header[1] is not None:
            return NOTHING
        payload = stored[header.end() :]
        try:
            value = self._decode(payload)
        except UndecodableEntryError:
            return NOTHING
        seconds = self._time() - started
        self._count_hit(len(payload), seconds)
        if self._runtime.flush_timer is None:
            self._runtime.flush_statistics_soon()
        if self._events.hooks:
            self._events.tell(CacheEvent("bytes_read", self.label, key, len(payload), None))
            self._events.tell(CacheEvent("hits", self.label, key, 1, seconds))
        return value
