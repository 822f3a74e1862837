"""The entry point of every call of a cached function.

Calls that find a servable entry are answered here: no object is created for them but the value. Every other
call, from a miss to an entry that must be refreshed, continues in `Call`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from langcache_cli.caching._admission import Line
from langcache_cli.caching._errors import CacheError, UndecodableEntryError
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.hit_counter import HitCounter
from langcache_cli.caching._loading.load import Load, Origin
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol.entry import (
    COMPRESSION_GROUP,
    MAX_HEADER_BYTES,
    TAGS_GROUP,
    Entry,
    parse,
    servable_header,
)
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.store import seen_in
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._values.compression import decompress

SLOW_PATH = object()
"""Sentinel: take the slow path."""


class NearFill(NamedTuple):
    """What is needed to keep the result of a look-up in the near cache.

    Attributes:
        generation: `NearMemory.generation` before it.
        sent_at: When it was about to be sent, by `time.monotonic`.
        ttl: Will hold the remaining TTL of the entry in milliseconds.
    """

    generation: int
    sent_at: float
    ttl: asyncio.Future[list[Any]]


class Reader:
    """Answers the calls of one function on one event loop, or hands them over to `Call`."""

    def __init__(self, runtime: Runtime, spec: FunctionSpec, label: Label, lifetime: Lifetime) -> None:
        """Prepare.

        Raises:
            TypeError: The function's return annotation cannot be used.
        """
        self.runtime = runtime
        self.spec = spec
        self.label = label
        self.lifetime = lifetime
        self.near = runtime.near() if spec.local_seconds else None
        self._codec = spec.resolve()
        self._hits = HitCounter(runtime, label)
        self._namespace = runtime.settings.namespace
        self._tagged = spec.is_tagged
        self._refreshes = lifetime.refreshes
        # bound once: each is used by every call
        self._decode = self._codec.decode
        self._keys = spec.compiled_keys(self._namespace)
        self._match_header = servable_header(self._codec.fingerprint)
        self._count_hit = self._hits.count
        self._node = runtime.node
        self._try_lookup = runtime.node.try_lookup
        self._look_ups = runtime.node.look_ups
        self._admission = runtime.admission
        self._clock = runtime.node.clock
        self._running_loads = runtime.running_loads
        self._unconfirmed = runtime.outbox.unconfirmed

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
            key_args: ``args`` without the instance of a method.
        """
        line = await self._look_ups.admitted() if self._look_ups.crowded else None
        try:
            keys = self._keys(*key_args, **kwargs)
        except TypeError:
            keys = self.spec.key_and_tags(self._namespace, *key_args, **kwargs)  # raises with an explanation
        loads_before, started = self._running_loads.started, monotonic()
        if (near := self.near) is not None and near.get(keys[0], started) is not None:
            await near.poll()
            value = self._near_value(near, keys[0], monotonic())
            if value is not SLOW_PATH:
                return value
        clock_started = started - self._clock.busy
        fill = self._start_fill(near, keys[0]) if near is not None else None
        pending = None if self._unconfirmed else self._try_lookup(keys)
        if pending is None:
            await self._admitted_unless_bypassed(line)
            return await self._slow_call(keys, function, args, kwargs).answer()
        seen, refresh_due = None, False
        try:
            found = await pending
        except CacheError:
            pass
        else:
            # checked again: a new connection may lead to a server that has lost invalidations
            if not self._unconfirmed:
                refresh_due = self._refreshes and self._draw_refresh(found)
                value = SLOW_PATH if refresh_due else self._servable_value(found, keys, started, fill)
                if value is not SLOW_PATH:
                    return value
                seen = seen_in(found, tagged=self._tagged)
        time_left = self._node.time_left(clock_started)
        await self._admission.admitted(line)
        call = self._slow_call(keys, function, args, kwargs, loads_before=loads_before, time_left=time_left)
        return await call.go_on(seen, started, refresh_due=refresh_due)

    async def _admitted_unless_bypassed(self, line: Line | None) -> None:
        """`Admission.admitted` for a call that has to connect; one that bypasses the cache never waits."""
        if not (self._unconfirmed or self._node.breaker.open):
            await self._admission.admitted(line)

    def near_answer(self, near: NearCache, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The value of one call from the near cache, without a turn of the event loop; or `SLOW_PATH`."""
        started = monotonic()
        if near.must_poll(started):
            return SLOW_PATH
        try:
            keys = self._keys(*key_args, **kwargs)
        except TypeError:
            return SLOW_PATH
        return self._near_value(near, keys[0], started)

    def call(self, address: EntryKeys, origin: Origin, *, loads_before: int | None = None) -> Call:
        """One call, to be answered or refreshed on the slow path.

        Args:
            address: Where its value is stored.
            origin: What a miss runs.
            loads_before: `RunningLoads.started` when the call began; None for now.
        """
        load = Load(self.runtime, self.spec, self.label, address, origin, lifetime=self.lifetime)
        return Call(load, self._hits, loads_before=loads_before)

    def _slow_call(
        self,
        keys: KeyAndTags,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        loads_before: int | None = None,
        time_left: float | None = None,
    ) -> Call:
        origin = functools.partial(function, *args, **kwargs)
        call = self.call(EntryKeys(keys[0], keys[1:]), origin, loads_before=loads_before)
        if time_left is not None:
            call.load.budget.left = time_left
        return call

    def retire(self) -> None:
        """Stop counting: the event loop is about to end."""
        self._hits.retire()

    def _servable_value(self, found: Any, keys: KeyAndTags, started: float, fill: NearFill | None) -> Any:
        """The value of a valid entry that is not leased, counted as a hit; or `SLOW_PATH`."""
        stored = found[0] if self._tagged else found
        if not stored:
            return SLOW_PATH
        header = self._match_header(stored, 0, MAX_HEADER_BYTES)
        if header is None:
            return SLOW_PATH
        optional = header.lastindex
        if self._tagged:
            versions = found[1:]
            if None in versions or header[TAGS_GROUP] != b",".join(versions):
                return SLOW_PATH
        elif optional is not None and header[TAGS_GROUP] is not None:
            return SLOW_PATH
        payload = stored[header.end() :]
        n_bytes = len(payload)
        try:
            if optional == COMPRESSION_GROUP:
                payload = decompress(payload, header[COMPRESSION_GROUP].decode("ascii"))
            value = self._decode(payload)
        except UndecodableEntryError:
            return SLOW_PATH
        if fill is not None:
            self._keep_near(keys, payload, value, fill)
        self._count_hit(keys[0], n_bytes, monotonic() - started)
        return value

    def _draw_refresh(self, found: Any) -> bool:
        """True if a look-up found an entry whose successor this call should load."""
        stored = found[0] if self._tagged else found
        entry = parse(stored) if stored else None
        return isinstance(entry, Entry) and self.lifetime.draw_refresh(entry, self.runtime.now_ms())

    def _near_value(self, near: NearCache, key: str, started: float) -> Any:
        """The value of an entry in the near cache, counted as a hit; or `SLOW_PATH`."""
        kept = None if self._unconfirmed else near.get(key, started)
        if kept is None or kept.codec is not self._codec:
            return SLOW_PATH
        try:
            value = kept.value if kept.payload is None else self._decode(kept.payload)
        except UndecodableEntryError:  # the application's own validators no longer accept it
            near.memory.drop([key])
            return SLOW_PATH
        self._hits.count_near(key, monotonic() - started)
        return value

    def _start_fill(self, near: NearCache, key: str) -> NearFill | None:
        """Ask for the TTL of the entry that is about to be looked up, over the same connection."""
        connection = self._node.connection
        if connection is None or not near.is_tracking(connection) or self._unconfirmed:
            return None
        return NearFill(near.memory.generation, monotonic(), connection.request([("PTTL", key)]).future)

    def _keep_near(self, keys: KeyAndTags, payload: bytes, value: Any, fill: NearFill) -> None:
        """Keep an entry in the near cache, no longer than it lives in Redis."""
        if self.near is None or not fill.ttl.done() or fill.ttl.exception() is not None:
            return
        (ttl_ms,) = fill.ttl.result()
        if not isinstance(ttl_ms, int) or ttl_ms <= 0:
            return
        fresh_seconds = ttl_ms / 1000 - self.lifetime.stale_seconds
        expires_at = fill.sent_at + min(self.spec.local_seconds, fresh_seconds)
        self.near.keep(
            *(keys, payload, value),
            sent_at=fill.sent_at,
            expires_at=expires_at,
            generation=fill.generation,
            codec=self._codec,
        )
