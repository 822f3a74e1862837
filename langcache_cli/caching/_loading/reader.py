"""The entry point of every call of a cached function.

Calls that find a servable entry are answered here: no object is created for them but the value. Every other
call, from a miss to an entry that must be refreshed, continues in `Call`.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

from langcache_cli.caching._admission import Line
from langcache_cli.caching._errors import CacheError, UndecodableEntryError
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.hit_counter import HitCounter
from langcache_cli.caching._loading.load import Load, Origin
from langcache_cli.caching._loading.near_reads import SLOW_PATH, NearReads
from langcache_cli.caching._near.tracking import NearFill
from langcache_cli.caching._protocol.entry import (
    COMPRESSION_GROUP,
    MAX_HEADER_BYTES,
    TAGS_GROUP,
    Entry,
    parse,
    servable_header,
)
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.store import Seen, seen_in
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._values.compression import decompress_short, decompressing
from langcache_cli.caching._values.large.portions import LARGE_BYTES, in_portions

LIKELY_AFTER = 3
"""After so many misses in a row the next call of a function is likely to miss, too."""


class LargeEntryError(Exception):
    """A payload that must be decoded in portions: its bytes, and their compression."""


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
        self._codec = spec.resolve()
        self.hits = HitCounter(runtime, label)
        near = runtime.near() if spec.local_seconds else None
        self.near = NearReads(near, runtime, spec, lifetime, self.hits) if near is not None else None
        self._namespace = runtime.settings.namespace
        self._tagged = spec.is_tagged
        self._refreshes = lifetime.refreshes
        # bound once: each is used by every call
        self._decode = self._codec.decode
        self.compiled_keys = self._keys = spec.compiled_keys(self._namespace)
        self._match_header = servable_header(self._codec.fingerprint)
        self._count_hit = self.hits.count
        self._server = runtime.server
        self._try_lookup = runtime.server.try_lookup
        self._look_ups = runtime.server.look_ups
        self._admission = runtime.admission
        self._clock = runtime.server.clock
        self._running_loads = runtime.running_loads
        self._unconfirmed = runtime.outbox.unconfirmed
        self._may_read = runtime.may_read
        self._misses_in_a_row = 0
        self._at_end: list[Callable[[], object]] = [self.hits.retire]
        self._has_ended = False

    @property
    def misses_often(self) -> bool:
        """True if the next call is likely to miss; see `LIKELY_AFTER`."""
        return self._misses_in_a_row >= LIKELY_AFTER

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
            args: Its positional arguments.
            kwargs: Its other arguments.
            key_args: ``args`` as the key takes them: without ``self``, unless the key names it.
        """
        line = await self._look_ups.admitted() if self._look_ups.crowded else None
        keys = self._key_and_tags(key_args, kwargs)
        loads_before, started = self._running_loads.started, monotonic()
        value = SLOW_PATH if self.near is None else await self.near.polled_value(keys[0], started)
        if value is not SLOW_PATH:
            return value
        if self._misses_in_a_row >= LIKELY_AFTER and self._expects_miss(keys):
            call = self._slow_call(keys, function, args, kwargs, loads_before=loads_before)
            return await self.go_on(call, Seen(None), started)
        clock_started = started - self._clock.busy
        fill = None if self.near is None else self.near.start_fill(keys)
        pending = None if self._unconfirmed and not self._may_read(keys) else self._try_lookup(keys)
        if pending is None:
            await self._admitted_unless_bypassed(line, keys)
            return await self._slow_call(keys, function, args, kwargs).answer()
        seen, refresh_due = None, False
        try:
            found = await pending
        except CacheError:
            pass
        else:
            if not self._unconfirmed or self._may_read(keys):  # again: a new server may have lost some
                refresh_due = self._refreshes and self.draw_refresh(found)
                try:
                    value = SLOW_PATH if refresh_due else self.servable_value(found, keys, started, fill)
                except LargeEntryError as large:
                    value = await self._large_value(large, keys, started, fill)
                if value is not SLOW_PATH:
                    return value
                seen = seen_in(found, tagged=self._tagged)
        time_left = self._server.time_left(clock_started)
        await self._admission.admitted(line)
        call = self._slow_call(keys, function, args, kwargs, loads_before=loads_before, time_left=time_left)
        return await self.go_on(call, seen, started, refresh_due=refresh_due)

    async def go_on(
        self, call: Call, seen: Seen | None, started: float, *, refresh_due: bool | None = None
    ) -> Any:
        """`Call.go_on`; notes whether the call was a miss."""
        value = await call.go_on(seen, started, refresh_due=refresh_due)
        self._misses_in_a_row = self._misses_in_a_row + 1 if call.load.was_absent else 0
        return value

    def _expects_miss(self, keys: KeyAndTags) -> bool:
        """True if a call should begin with its lease, which shows what is there, too: a look-up is saved.

        One call at a time: in a burst of hits after a row of misses the others look up together.
        """
        if (self._unconfirmed and not self._may_read(keys)) or not self._server.usable(keys[0]):
            return False
        if self._admission.crowded:
            return False
        if keys[0] in self.runtime.uncacheable:  # its call takes no lease, and would not see what is there
            return False
        self._misses_in_a_row = LIKELY_AFTER - 1
        return True

    async def _admitted_unless_bypassed(self, line: Line | None, keys: KeyAndTags) -> None:
        """`Admission.admitted` for a call that has to connect; `Load.bypass` has it for the others."""
        if self._may_read(keys) and not self._server.is_down:
            await self._admission.admitted(line)

    def near_answer(self, near: NearReads, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The value of one call from the near cache, without a turn of the event loop; or `SLOW_PATH`."""
        started = monotonic()
        if near.must_poll(started):
            return SLOW_PATH
        try:
            keys = self._keys(*key_args, **kwargs)
        except TypeError:
            return SLOW_PATH
        return near.value(keys[0], started)

    def call(self, address: EntryKeys, origin: Origin, *, loads_before: int | None = None) -> Call:
        """One call, to be answered or refreshed on the slow path.

        Args:
            address: Where its value is stored.
            origin: What a miss runs.
            loads_before: `RunningLoads.started` when the call began; None for now.
        """
        load = Load(self.runtime, self.spec, self.label, address, origin, lifetime=self.lifetime)
        return Call(load, self.hits, loads_before=loads_before)

    def _key_and_tags(self, key_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> KeyAndTags:
        try:
            return self._keys(*key_args, **kwargs)
        except TypeError:
            return self.spec.key_and_tags(self._namespace, *key_args, **kwargs)  # raises with an explanation

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
        self._has_ended = True
        for at_end in self._at_end:
            at_end()

    def call_at_end(self, at_end: Callable[[], object]) -> None:
        """Call ``at_end`` in `retire`, too; at once if that was called. From any thread."""
        self._at_end.append(at_end)
        if self._has_ended:
            at_end()

    def counting_with(self, count_hit: Callable[[str, int, float], None]) -> Reader:
        """A copy for threads without an event loop, whose hits are counted by ``count_hit``."""
        reader = copy.copy(self)
        vars(reader)["_count_hit"] = count_hit
        return reader

    def servable_value(self, found: Any, keys: KeyAndTags, started: float, fill: NearFill | None) -> Any:
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
            if optional == COMPRESSION_GROUP or n_bytes > LARGE_BYTES:
                payload = _short_json(payload, header[COMPRESSION_GROUP] or b"")
            value = self._decode(payload)
        except UndecodableEntryError:
            return SLOW_PATH
        if self.near is not None and fill is not None:
            self.near.keep(keys, payload, value, fill)
        self._count_hit(keys[0], n_bytes, monotonic() - started)
        self._misses_in_a_row = 0
        return value

    async def _large_value(
        self, entry: LargeEntryError, keys: KeyAndTags, started: float, fill: NearFill | None
    ) -> Any:
        """`servable_value` of a large one, decoded while the event loop runs."""
        max_bytes = self.runtime.settings.max_decompressed_bytes
        try:
            payload = await in_portions(decompressing(*entry.args, max_bytes=max_bytes))
            value = await self._codec.decode_large(payload)
        except UndecodableEntryError:
            return SLOW_PATH
        if self.near is not None and fill is not None:
            self.near.keep(keys, payload, value, fill)
        self._count_hit(keys[0], len(entry.args[0]), monotonic() - started)
        self._misses_in_a_row = 0
        return value

    def draw_refresh(self, found: Any) -> bool:
        """True if a look-up found an entry whose successor this call should load."""
        stored = found[0] if self._tagged else found
        entry = parse(stored) if stored else None
        return isinstance(entry, Entry) and self.lifetime.draw_refresh(entry, self.runtime.now_ms())


def _short_json(stored: bytes, compression: bytes) -> bytes:
    """The JSON of a payload that is compressed or long.

    Raises:
        LargeEntryError: It is longer than `LARGE_BYTES`.
        UndecodableEntryError: It is damaged.
    """
    name = compression.decode("ascii")
    payload = decompress_short(stored, name) if name else stored
    if payload is None or len(payload) > LARGE_BYTES:
        raise LargeEntryError(stored, name)
    return payload
