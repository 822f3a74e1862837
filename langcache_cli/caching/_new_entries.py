"""Making entries of values that were just loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langcache_cli.caching._codec import UncacheableValueError
from langcache_cli.caching._entry import Entry, entry_format, header_end, new_id, new_ids
from langcache_cli.caching._lifetimes import Lifetime
from langcache_cli.caching._packing import packed
from langcache_cli.caching._runtime import Runtime
from langcache_cli.caching._spec import FunctionSpec

PORTION_BYTES = 1024 * 1024
"""So much is packed before it is stored: well within a lease, and no more of it in memory."""


class Loaded:
    """One load, of one value or of many."""

    def __init__(
        self, spec: FunctionSpec, lifetime: Lifetime, runtime: Runtime, *, load_seconds: float
    ) -> None:
        """Note what its entries share.

        Args:
            spec: The function.
            lifetime: Of its entries.
            runtime: Says what time it is, and what to compress.
            load_seconds: How long it took for each value.
        """
        self._spec = spec
        self._lifetime = lifetime
        self._now_ms = runtime.now_ms()
        self._compress_bytes = runtime.settings.compress_bytes
        self._load_us = round(load_seconds * 1e6)

    def entry(self, value: Any, tags: tuple[str, ...]) -> Entry | None:
        """The entry of a value.

        Returns:
            None if it would not survive; then there is a word in the log.
        """
        found = self._packed(value)
        if found is None:
            return None
        (ttl_ms,) = self._lifetime.ttls_ms(1)
        payload, packing = found
        schema, ends = self._spec.codec.fingerprint, self._now_ms + ttl_ms
        return Entry(new_id(), self._now_ms, ends, self._load_us, schema, payload, tags, packing=packing)

    def stored(
        self, values: Sequence[Any], tags: Sequence[tuple[str, ...]]
    ) -> Iterator[tuple[list[bytes | None], list[int]]]:
        """The bytes of the entries of many values, None as for `entry`; and how long to keep each, in ms.

        They come in portions of some `PORTION_BYTES`, so that leases can be renewed in between.
        """
        shared = entry_format(self._now_ms, self._load_us, self._spec.codec.fingerprint)
        now_ms, stale_ms = self._now_ms, self._lifetime.stale_ms
        ttls_ms = self._lifetime.ttls_ms(len(values))
        kept_ms = [ttl_ms + stale_ms for ttl_ms in ttls_ms]
        ids = [entry_id.encode("ascii") for entry_id in new_ids(len(values))]
        entries: list[bytes | None] = []
        first, n_bytes = 0, 0
        for found, versions, entry_id, ttl_ms in zip(
            map(self._packed, values), tags, ids, ttls_ms, strict=True
        ):
            if found is None:
                entries.append(None)
            else:
                payload, packing = found
                entries.append(shared % (entry_id, now_ms + ttl_ms, header_end(versions, packing), payload))
                n_bytes += len(payload)
                if n_bytes >= PORTION_BYTES:
                    yield entries, kept_ms[first : first + len(entries)]
                    first, n_bytes, entries = first + len(entries), 0, []
        yield entries, kept_ms[first:]

    def _packed(self, value: Any) -> tuple[bytes, str] | None:
        try:
            return packed(self._spec.codec.encode(value), from_bytes=self._compress_bytes)
        except UncacheableValueError as error:
            self._spec.warn_uncacheable(error)
            return None
