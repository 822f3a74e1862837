"""The near cache as one function reads and fills it."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, NamedTuple

from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.hit_counter import HitCounter
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._values.large.portions import LARGE_BYTES

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


class NearReads:
    """Entries of one function in the near cache of one event loop."""

    def __init__(
        self, cache: NearCache, runtime: Runtime, spec: FunctionSpec, lifetime: Lifetime, hits: HitCounter
    ) -> None:
        """Prepare."""
        self.must_poll = cache.must_poll
        self._cache = cache
        self._get = cache.get
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

    def start_fill(self, key: str) -> NearFill | None:
        """Ask for the TTL of the entry that is about to be looked up, over the same connection."""
        connection = self._cache.connection
        if connection is None:
            return None
        generation = self._cache.memory.generation
        return NearFill(generation, monotonic(), connection.request([("PTTL", key)]).future)

    def keep(self, keys: KeyAndTags, payload: bytes, value: Any, fill: NearFill) -> None:
        """Keep an entry that was found, no longer than it lives in Redis."""
        if not fill.ttl.done() or fill.ttl.exception() is not None:
            return
        (ttl_ms,) = fill.ttl.result()
        if not isinstance(ttl_ms, int) or ttl_ms <= 0:
            return
        fresh_seconds = ttl_ms / 1000 - self._stale_seconds
        self._cache.keep(
            *(keys, payload, value),
            sent_at=fill.sent_at,
            expires_at=fill.sent_at + min(self._local_seconds, fresh_seconds),
            generation=fill.generation,
            codec=self._codec,
        )
