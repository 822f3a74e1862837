"""The near cache as one function reads and fills it."""

from __future__ import annotations

from time import monotonic
from typing import Any

from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.hit_counter import HitCounter
from langcache_cli.caching._near.tracking import NearCache, NearFill
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._values.large.portions import LARGE_BYTES

SLOW_PATH = object()
"""Sentinel: take the slow path."""


class NearReads:
    """Entries of one function in the near cache of one event loop."""

    def __init__(
        self, cache: NearCache, runtime: Runtime, spec: FunctionSpec, lifetime: Lifetime, hits: HitCounter
    ) -> None:
        """Prepare."""
        self.must_poll = cache.must_poll
        self._cache = cache
        self._get = cache.get
        self.start_fill = cache.start_fill
        self._unconfirmed = runtime.outbox.unconfirmed
        self._may_read = runtime.may_read
        self._codec = spec.codec
        self._decode = spec.codec.decode
        self._local_seconds = spec.local_seconds or 0.0
        self._stale_seconds = lifetime.stale_seconds
        self._count = hits.count_near

    def value(self, key: str, started: float) -> Any:
        """The value of an entry that is not large, counted as a hit; or `SLOW_PATH`."""
        kept = self._get(key, started)
        if kept is None or kept.codec is not self._codec:
            return SLOW_PATH
        if self._unconfirmed and not self._may_read((key, *kept.tag_keys)):
            return SLOW_PATH
        try:
            if (payload := kept.payload) is None:
                value = kept.value
            elif len(payload) > LARGE_BYTES:
                return SLOW_PATH
            else:
                value = self._decode(payload)
        except UndecodableEntryError:  # the application's own validators no longer accept it
            self._cache.memory.drop([key])
            return SLOW_PATH
        self._count(key, monotonic() - started)
        return value

    def peeked_value(self, key: str) -> Any:
        """The value of an entry for another thread, which counts it as a hit; or `SLOW_PATH`."""
        kept = self._cache.peek(key, monotonic())
        if kept is None or kept.codec is not self._codec or self._unconfirmed:
            return SLOW_PATH
        if (payload := kept.payload) is None:
            return kept.value
        try:
            return SLOW_PATH if len(payload) > LARGE_BYTES else self._decode(payload)
        except UndecodableEntryError:  # the loop drops it
            return SLOW_PATH

    async def polled_value(self, key: str, started: float) -> Any:
        """`value`, once all changes that have arrived are read; large ones are decoded in portions."""
        if self._get(key, started) is None:
            return SLOW_PATH
        await self._cache.poll()
        started = monotonic()
        value = self.value(key, started)
        kept = self._get(key, started) if value is SLOW_PATH else None
        if kept is None or kept.payload is None or kept.codec is not self._codec:
            return value
        if self._unconfirmed and not self._may_read((key, *kept.tag_keys)):
            return value
        try:
            value = await self._codec.decode_large(kept.payload)
        except UndecodableEntryError:
            self._cache.memory.drop([key])
            return SLOW_PATH
        self._count(key, monotonic() - started)
        return value

    def keep(self, keys: KeyAndTags, payload: bytes, value: Any, fill: NearFill) -> None:
        """Keep an entry that was found, no longer than it lives in Redis."""
        if not fill.ttl.done() or fill.ttl.exception() is not None:
            return
        (ttl_ms,) = fill.ttl.result()
        if not isinstance(ttl_ms, int) or ttl_ms <= 0:
            return
        fresh_seconds = ttl_ms / 1000 - self._stale_seconds
        self._cache.keep(
            *(keys, payload, value, fill),
            expires_at=fill.sent_at + min(self._local_seconds, fresh_seconds),
            codec=self._codec,
        )
