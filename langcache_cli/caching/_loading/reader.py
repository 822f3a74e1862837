"""Calls that find what they look for: most of them, so nothing is made for them but the value.

Everything else, from a miss to an entry that has to be renewed, is handed on to `Call`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from langcache_cli.caching._errors import CacheError, UndecodableEntryError
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol.entry import MAX_HEADER_BYTES, PACKING, TAGS, Entry, parse, plain_header
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.store import seen_in
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.events import CacheEvent
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._values.compression import ZLIB, unpacked

NOTHING = object()
"""Is no value."""


class NearFill(NamedTuple):
    """What is needed to keep in the process what a look-up finds.

    Attributes:
        since: `NearMemory.moment` before it.
        asked_at: When it was about to be sent.
        ttl: Given how long the entry lives, in milliseconds.
    """

    since: int
    asked_at: float
    ttl: asyncio.Future[list[Any]]


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
        self._codec = spec.resolve()
        self._decode = self._codec.decode
        self._namespace = runtime.settings.namespace
        self._names = spec.compiled_names(self._namespace)
        self._match_header = plain_header(spec.codec.fingerprint)
        self._tagged = spec.is_tagged
        self._serves_at_once = not (lifetime.stale_seconds or lifetime.early_refresh)
        self.near = runtime.near() if spec.local_seconds else None
        self._tally = runtime.statistics.tally(label)
        self._node = runtime.node
        self._publisher = runtime.publisher
        self._look_up = runtime.node.try_lookup
        self._clock = runtime.node.clock
        self._board = runtime.running_loads
        self._unconfirmed = runtime.outbox.unconfirmed
        self._events = runtime.events

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
        began, started = self._board.started, monotonic()
        if (near := self.near) is not None and near.get(names[0], started) is not None:
            await near.poll()
            value = self._near_value(near, names[0], monotonic())
            if value is not NOTHING:
                return value
        clock_started = started - self._clock.busy
        fill = self._fill(near, names[0]) if near is not None else None
        pending = None if self._unconfirmed else self._look_up(names)
        if pending is None:
            call = self.call(EntryKeys(names[0], names[1:]), functools.partial(function, *args, **kwargs))
            return await call.answer()
        seen, due = None, False
        try:
            found = await pending
        except CacheError:
            pass
        else:
            # asked again: a new connection may lead to a server that has forgotten invalidations
            if not self._unconfirmed:
                due = not self._serves_at_once and self._renewal_is_due(found)
                value = NOTHING if due else self._value(found, names, started, fill)
                if value is not NOTHING:
                    return value
                seen = seen_in(found, tagged=self._tagged)
        call = self.call(
            EntryKeys(names[0], names[1:]), functools.partial(function, *args, **kwargs), began=began
        )
        call.load.budget.left = self._node.time_left(clock_started)
        return await call.go_on(seen, started, due=due)

    def call(
        self, address: EntryKeys, origin: Callable[[], Awaitable[Any]], *, began: int | None = None
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

    def _value(self, found: Any, names: tuple[str, ...], started: float, fill: NearFill | None) -> Any:
        """That of an entry which can be served without another thought, counted; or `NOTHING`."""
        stored = found[0] if self._tagged else found
        if not stored:
            return NOTHING
        header = self._match_header(stored, 0, MAX_HEADER_BYTES)
        if header is None:
            return NOTHING
        extra = header.lastindex
        if self._tagged:
            versions = found[1:]
            if None in versions or header[TAGS] != b",".join(versions):
                return NOTHING
        elif extra is not None and header[TAGS] is not None:
            return NOTHING
        payload = stored[header.end() :]
        n_bytes = len(payload)
        try:
            if extra == PACKING:
                payload = unpacked(payload, ZLIB)
            value = self._decode(payload)
        except UndecodableEntryError:
            return NOTHING
        if fill is not None:
            self._keep(names, payload, value, fill)
        seconds = monotonic() - started
        self._tally.count_hit(n_bytes, seconds)
        if self._events.hooks or self._publisher.timer is None:
            self._counted(names[0], "bytes_read", n_bytes, seconds)
        return value

    def _renewal_is_due(self, found: Any) -> bool:
        """Whether what was found is an entry whose successor should be loaded, as far as it can tell."""
        stored = found[0] if self._tagged else found
        entry = parse(stored) if stored else None
        return isinstance(entry, Entry) and self.lifetime.renewal_is_due(entry, self._runtime.now_ms())

    def near_answer(self, near: NearCache, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The value of one call, if it is in this process and nobody has to wait for it; or `NOTHING`."""
        started = monotonic()
        if near.must_poll(started):
            return NOTHING
        try:
            names = self._names(*key_args, **kwargs)
        except TypeError:
            return NOTHING
        return self._near_value(near, names[0], started)

    def _near_value(self, near: NearCache, key: str, started: float) -> Any:
        """That of an entry in this process, counted; or `NOTHING`."""
        kept = None if self._unconfirmed else near.get(key, started)
        if kept is None or kept.codec is not self._codec:
            return NOTHING
        try:
            value = kept.value if kept.payload is None else self._decode(kept.payload)
        except UndecodableEntryError:  # a validator of the application's takes it no more
            near.near.drop([key])
            return NOTHING
        seconds = monotonic() - started
        self._tally.count_near_hit(seconds)
        if self._events.hooks or self._publisher.timer is None:
            self._counted(key, "near", 1, seconds)
        return value

    def _counted(self, key: str, name: str, amount: int, seconds: float) -> None:
        """See that the numbers of a hit are delivered in time, and tell the hooks; asked only if need be."""
        if self._publisher.timer is None:
            self._publisher.soon()
        if self._events.hooks:
            self._events.tell(CacheEvent(name, self.label, key, amount, None))
            self._events.tell(CacheEvent("hits", self.label, key, 1, seconds))

    def _fill(self, near: NearCache, key: str) -> NearFill | None:
        """Ask how long the entry lives that is about to be looked up over the same connection."""
        out = self._node.out
        if out is None or not near.follows(out) or self._unconfirmed:
            return None
        return NearFill(near.near.moment, monotonic(), out.request([("PTTL", key)]).future)

    def _keep(self, names: tuple[str, ...], payload: bytes, value: Any, fill: NearFill) -> None:
        """Keep an entry in this process, no longer than it lives in Redis."""
        if self.near is None or not fill.ttl.done() or fill.ttl.exception() is not None:
            return
        (ttl_ms,) = fill.ttl.result()
        if not isinstance(ttl_ms, int) or ttl_ms <= 0:
            return
        fresh_seconds = ttl_ms / 1000 - self.lifetime.stale_seconds
        ends = fill.asked_at + min(self._spec.local_seconds, fresh_seconds)
        self.near.keep(
            *(names, payload, value),
            asked_at=fill.asked_at,
            ends=ends,
            since=fill.since,
            codec=self._codec,
        )
