"""Turning loaded values into entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langcache_cli.caching._clock import new_id, new_ids
from langcache_cli.caching._errors import UncacheableValueError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._protocol.entry import Entry, entry_format, optional_fields
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._values.body import Body
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

        The event loop runs meanwhile if the value is large; otherwise this does not suspend.

        Args:
            value: What was loaded.
            tag_versions: From before the load began.
        """
        try:
            payload, compression = await self._payload(value)
        except UncacheableValueError as error:
            self._spec.warn_uncacheable(error, show_values=self._log_values)
            return None
        (ttl_ms,) = self._lifetime.ttls_ms(1)
        return Entry(
            id=new_id(),
            created_ms=self._now_ms,
            fresh_until_ms=self._now_ms + ttl_ms,
            load_us=self._load_us,
            schema=self._spec.codec.fingerprint,
            payload=payload,
            tag_versions=tag_versions,
            compression=compression,
            note=value.note if type(value) is Body else "",
        )

    async def _payload(self, value: Any) -> tuple[bytes, str]:
        """The payload of a value and its compression."""
        codec = self._spec.codec
        if not codec.is_large(value):
            payload = codec.encode(value)
            if len(payload) <= LARGE_BYTES:
                return compress(payload, min_bytes=self._compress_bytes, max_bytes=self._max_bytes)
            await asyncio.sleep(0)  # a long string, which took its time
        else:
            payload = await codec.encode_large(value)
        return await in_portions(
            compressing(payload, min_bytes=self._compress_bytes, max_bytes=self._max_bytes)
        )

    async def encoded(
        self, values: Sequence[Any], tag_versions: Sequence[tuple[str, ...]]
    ) -> AsyncIterator[tuple[list[bytes | None], list[int]]]:
        """The bytes of the entries of many values, None as for `entry`, and how long to keep each, in ms.

        They come in portions of about `PORTION_BYTES`, so that leases can be renewed in between.
        """
        shared = entry_format(self._now_ms, self._load_us, self._spec.codec.fingerprint)
        now_ms, stale_ms = self._now_ms, self._lifetime.stale_ms
        ttls_ms = self._lifetime.ttls_ms(len(values))
        kept_ms = [ttl_ms + stale_ms for ttl_ms in ttls_ms]
        ids = [entry_id.encode("ascii") for entry_id in new_ids(len(values))]
        entries: list[bytes | None] = []
        first, n_bytes = 0, 0
        codec, min_bytes = self._spec.codec, self._compress_bytes or LARGE_BYTES
        encode, is_heavy = codec.encode, codec.is_heavy
        for value, versions, entry_id, ttl_ms in zip(values, tag_versions, ids, ttls_ms, strict=True):
            # runs a hundred thousand times in a warm: no call that can be avoided
            try:
                if is_heavy is None or not is_heavy(value):
                    payload = encode(value)
                else:
                    payload = await codec.encode_large(value)
                end = b""
                if versions or len(payload) >= min_bytes:
                    payload, compression = await in_portions(
                        compressing(payload, min_bytes=self._compress_bytes, max_bytes=self._max_bytes)
                    )
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
