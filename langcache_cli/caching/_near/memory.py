"""The memory of the near cache: entries by Redis key, bounded in bytes, dropped when they may have changed.

An entry holds the encoded bytes of its value, and each hit decodes a new object that its caller may modify.
Only an immutable value is held itself and returned to all callers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._near.generation import Generation
from langcache_cli.caching._near.immutable_values import size_if_immutable

OVERHEAD_BYTES = 600
"""Estimated memory of an entry besides its content and its key: objects and slots in dictionaries."""

TAG_BYTES = 400
"""Estimated memory of a tag besides its key, if it belongs to one entry only."""

SOURCE_BYTES = 50
"""Estimated memory of the reference to a `Generation`, its share of a tuple included."""

MAX_CHANGES = 10_000
"""Number of recent changes to remember. After more during one look-up, its result is not kept."""


@dataclass(slots=True)
class NearEntry:
    """An entry in the memory of the process.

    Attributes:
        payload: The encoded value; None if ``value`` is set.
        value: The value, if it is immutable.
        expires_at: End of its lifetime, on the clock passed to `NearMemory.get`.
        codec: The codec that decoded the value.
        tag_keys: Redis keys of its tags.
        n_bytes: Estimated memory that it takes.
        sources: What it relies on in a cluster; empty on one server.
        used: True once it was served since `NearMemory` last considered it for eviction.
    """

    payload: bytes | None
    value: Any
    expires_at: float
    codec: object
    tag_keys: tuple[str, ...]
    n_bytes: int
    sources: tuple[Generation, ...] = ()
    used: bool = False


class NearMemory:
    """The entries of one event loop, by Redis key."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty, with an upper bound of ``max_bytes``."""
        self.n_bytes = 0
        """Estimated memory of all entries."""
        self.generation = 0
        """Incremented whenever keys or tags are known to have changed."""
        self._max_bytes = max_bytes
        self._entries: dict[str, NearEntry] = {}
        self._keys_by_tag: dict[str, set[str]] = {}
        self._changed: dict[str, int] = {}
        """The generation of the last change of each key or tag, for recent changes."""
        self._all_changed = 0
        """The generation up to which every key must be considered changed."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now: float) -> NearEntry | None:
        """The entry under ``key``, unless it has expired at ``now`` (seconds)."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry.expires_at:
            self.remove(key)
            return None
        entry.used = True
        return entry

    def peek(self, key: str, now: float) -> NearEntry | None:
        """`get` from another thread than that of the event loop, which removes expired entries."""
        entry = self._entries.get(key)
        if entry is None or now >= entry.expires_at:
            return None
        entry.used = True
        return entry

    def keep(
        self,
        keys: KeyAndTags,
        payload: bytes,
        value: Any,
        *,
        expires_at: float,
        generation: int,
        codec: object = None,
        sources: tuple[Generation, ...] = (),
    ) -> None:
        """Keep the result of a look-up, unless it may have changed since the look-up was sent.

        Args:
            keys: Redis keys of the entry and of its tags.
            payload: The encoded value.
            value: The decoded value.
            expires_at: End of the entry's lifetime, on the clock passed to `get`.
            generation: `generation` at the time when the look-up was sent.
            codec: The codec that decoded the value; another one may decode another value.
            sources: What the entry relies on in a cluster.
        """
        if generation < self._all_changed or any(self._changed.get(key, 0) > generation for key in keys):
            return
        key, tag_keys = keys[0], keys[1:]
        value_bytes = size_if_immutable(value)
        n_bytes = len(key) + OVERHEAD_BYTES + (len(payload) if value_bytes is None else value_bytes)
        n_bytes += sum([len(tag) + TAG_BYTES for tag in tag_keys]) + SOURCE_BYTES * len(sources)
        if n_bytes > self._max_bytes:
            return
        self.remove(key)
        if value_bytes is None:
            self._entries[key] = NearEntry(payload, None, expires_at, codec, tag_keys, n_bytes, sources)
        else:
            self._entries[key] = NearEntry(None, value, expires_at, codec, tag_keys, n_bytes, sources)
        self.n_bytes += n_bytes
        for tag in tag_keys:
            self._keys_by_tag.setdefault(tag, set()).add(key)
        while self.n_bytes > self._max_bytes:
            self._evict()

    def drop(self, keys: Iterable[str]) -> None:
        """Remove the entries of changed keys and tags; results of look-ups sent before are not kept."""
        self.generation += 1
        for key in keys:
            self._changed[key] = self.generation
            self.remove(key)
            for tagged_key in self._keys_by_tag.pop(key, ()):
                self.remove(tagged_key)
        if len(self._changed) > MAX_CHANGES:
            self._changed.clear()
            self._all_changed = self.generation

    def clear(self) -> None:
        """Remove everything: any key may have changed."""
        self.generation += 1
        self._all_changed = self.generation
        self._changed.clear()
        self._entries.clear()
        self._keys_by_tag.clear()
        self.n_bytes = 0

    def remove(self, key: str) -> None:
        """Remove one entry, whose key has not changed."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.n_bytes -= entry.n_bytes
        for tag in entry.tag_keys:
            keys = self._keys_by_tag.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._keys_by_tag[tag]

    def _evict(self) -> None:
        """Remove the oldest unused entry; those before it become unused and the newest (second chance)."""
        while True:
            key = next(iter(self._entries))
            entry = self._entries[key]
            if not entry.used:
                self.remove(key)
                return
            entry.used = False
            del self._entries[key]
            self._entries[key] = entry
