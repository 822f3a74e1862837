"""Turning loaded values into entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langcache_cli.caching._clock import new_id, new_ids
from langcache_cli.caching._errors import UncacheableValueError
from langcache_cli.caching._functions.body import Body
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._protocol.entry import (
    DECLINED,
    TOO_LARGE,
    Entry,
    entry_format,
    optional_fields,
)
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._values.compression import compress, compressing
from langcache_cli.caching._values.large.portions import LARGE_BYTES, in_portions

PORTION_BYTES = 1024 * 1024
"""So many bytes of values are encoded before they are stored: well within a lease, and bounded in memory."""


class EntryWriter:
    """Makes the entries of one load, of one value or of many."""

    def __init__(
        self, spec: FunctionSpec, lifetime: Lifetime, runtime: Runtime, *, load_seconds: float
    ) -> None:
        """Note what the entries share.

        Args:
            spec: The function.
            lifetime: Of its entries.
            runtime: Its clock, and its settings for compression.
            load_seconds: How long the load took for each value.
        """
        self._spec = spec
        self._lifetime = lifetime
        self._now_ms = runtime.now_ms()
        self._compress_bytes = runtime.settings.compress_bytes
        self._max_bytes = runtime.settings.max_decompressed_bytes
        self._log_values = runtime.settings.log_values
        self._load_us = round(load_seconds * 1e6)

    async def entry(self, value: Any, tag_versions: tuple[str, ...]) -> Entry | None:
        """The entry of a value; None, with a log line, for a value that would not come back the same.

        A value that its function declines to store, or that is too large, has an entry that is not
        `Entry.is_kept`. The event loop runs meanwhile if the value is large; otherwise this does not suspend.

        Args:
            value: What was loaded.
            tag_versions: From before the load began.
        """
        (ttl_ms,) = self._lifetime.ttls_ms((value,))
        fresh_until_ms, compression = self._now_ms + ttl_ms if ttl_ms else DECLINED, ""
        try:
            payload = await self._json(value)
            if self._is_too_large(payload):
                fresh_until_ms = TOO_LARGE
            else:
                payload, compression = await self._compressed(payload)
        except UncacheableValueError as error:
            self._spec.warn_uncacheable(error, show_values=self._log_values)
            return None
        return Entry(
            id=new_id(),
            created_ms=self._now_ms,
            fresh_until_ms=fresh_until_ms,
            load_us=self._load_us,
            schema=self._spec.codec.fingerprint,
            payload=payload,
            tag_versions=tag_versions,
            compression=compression,
            note=value.note if type(value) is Body else "",
        )

    def _is_too_large(self, payload: bytes) -> bool:
        max_bytes = self._spec.max_bytes
        if max_bytes is None or len(payload) <= max_bytes:
            return False
        self._spec.warn_too_large(len(payload))
        return True

    async def _json(self, value: Any) -> bytes:
        codec = self._spec.codec
        if codec.is_large(value):
            return await codec.encode_large(value)
        payload = codec.encode(value)
        if len(payload) > LARGE_BYTES:
            await asyncio.sleep(0)  # a long string, which took its time
        return payload

    async def _compressed(self, payload: bytes) -> tuple[bytes, str]:
        """The payload to store, and its compression."""
        if len(payload) <= LARGE_BYTES:
            return compress(payload, min_bytes=self._compress_bytes, max_bytes=self._max_bytes)
        steps = compressing(payload, min_bytes=self._compress_bytes, max_bytes=self._max_bytes)
        return await in_portions(steps)

    async def encoded(
        self, values: Sequence[Any], tag_versions: Sequence[tuple[str, ...]]
    ) -> AsyncIterator[tuple[list[bytes | None], list[int]]]:
        """The bytes of the entries of many values, None as for `entry`, and how long to keep each, in ms.

        That is `DECLINED` or `TOO_LARGE` for what must not be stored. They come in portions of about
        `PORTION_BYTES`, so that leases can be renewed in between.
        """
        shared = entry_format(self._now_ms, self._load_us, self._spec.codec.fingerprint)
        now_ms, stale_ms = self._now_ms, self._lifetime.stale_ms
        ttls_ms = self._lifetime.ttls_ms(values)
        kept_ms = [ttl_ms + stale_ms if ttl_ms else DECLINED for ttl_ms in ttls_ms]
        ids = [entry_id.encode("ascii") for entry_id in new_ids(len(values))]
        entries: list[bytes | None] = []
        first, n_bytes = 0, 0
        codec, min_bytes = self._spec.codec, self._compress_bytes or LARGE_BYTES
        encode, is_heavy = codec.encode, codec.is_heavy
        short = min(min_bytes, (self._spec.max_bytes or min_bytes) + 1)
        for value, versions, entry_id, ttl_ms in zip(values, tag_versions, ids, ttls_ms, strict=True):
            # runs a hundred thousand times in a warm: no call that can be avoided
            try:
                if is_heavy is None or not is_heavy(value):
                    payload = encode(value)
                else:
                    payload = await codec.encode_large(value)
                end = b""
                if versions or len(payload) >= short:
                    if self._is_too_large(payload):
                        kept_ms[first + len(entries)], compression = TOO_LARGE, ""
                    else:
                        payload, compression = await self._compressed(payload)
                    end = optional_fields(versions, compression)
            except UncacheableValueError as error:
                self._spec.warn_uncacheable(error, show_values=self._log_values)
                entries.append(None)
            else:
                entries.append(shared % (entry_id, now_ms + ttl_ms, end, payload))
                n_bytes += len(payload)
                if n_bytes >= PORTION_BYTES:
                    yield entries, kept_ms[first : first + len(entries)]
                    first, n_bytes, entries = first + len(entries), 0, []
        yield entries, kept_ms[first:]
