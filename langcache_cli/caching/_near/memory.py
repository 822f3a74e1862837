"""Entries kept in the memory of the process: bounded in bytes, and dropped as soon as they may have changed.

What is kept of a value are its bytes: each hit makes a new one, which its caller may change. Only of values
that nobody can change the value itself is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._near.immutable_values import size_if_immutable

OVERHEAD_BYTES = 600
"""What an entry takes besides its content and its key: objects, and its places in dictionaries."""

TAG_BYTES = 400
"""What each tag of an entry takes besides its key, if no other entry has it."""

MAX_DROPPED = 10_000
"""How many of the latest changes to remember. With more between a look-up and its reply it is not kept."""


@dataclass(slots=True)
class Kept:
    """An entry in the memory of the process.

    Attributes:
        payload: The value as bytes; None if the value itself is there.
        value: The value, if nobody can change it.
        ends: When it must not be served any more.
        codec: What has made the value of the bytes.
        tags: Keys of its tags.
        n_bytes: How much memory it takes, about.
        used: Whether it was served since it was passed over for eviction.
    """

    payload: bytes | None
    value: Any
    ends: float
    codec: object
    tags: tuple[str, ...]
    n_bytes: int
    used: bool = False


class NearMemory:
    """The entries of one event loop, by Redis key."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty; hold no more than ``max_bytes``."""
        self.n_bytes = 0
        """How much memory the entries take, about."""
        self.moment = 0
        """Grows with each change that becomes known."""
        self._max_bytes = max_bytes
        self._entries: dict[str, Kept] = {}
        self._keys_of_tags: dict[str, set[str]] = {}
        self._dropped: dict[str, int] = {}
        """The latest changes, with their moments."""
        self._all_dropped = 0
        """The moment up to which everything must be taken for changed."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now: float) -> Kept | None:
        """What is under ``key``, unless it has ended by ``now``, seconds on the clock of `keep`."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        if now >= kept.ends:
            self._remove(key)
            return None
        kept.used = True
        return kept

    def keep(
        self,
        names: tuple[str, ...],
        payload: bytes,
        value: Any,
        *,
        ends: float,
        since: int,
        codec: object = None,
    ) -> None:
        """Keep what a look-up has found, unless it may have changed since then.

        Args:
            names: Keys of the entry, and of its tags.
            payload: Its value, as bytes.
            value: Its value.
            ends: When it must not be served any more.
            since: The `moment` when it was asked for.
            codec: What has made the value of the bytes; another may make another of them.
        """
        if since < self._all_dropped or any(self._dropped.get(name, 0) > since for name in names):
            return
        key, tags = names[0], names[1:]
        value_bytes = size_if_immutable(value)
        n_bytes = len(key) + OVERHEAD_BYTES + (len(payload) if value_bytes is None else value_bytes)
        n_bytes += sum([len(tag) + TAG_BYTES for tag in tags])
        if n_bytes > self._max_bytes:
            return
        self._remove(key)
        if value_bytes is None:
            self._entries[key] = Kept(payload, None, ends, codec, tags, n_bytes)
        else:
            self._entries[key] = Kept(None, value, ends, codec, tags, n_bytes)
        self.n_bytes += n_bytes
        for tag in tags:
            self._keys_of_tags.setdefault(tag, set()).add(key)
        while self.n_bytes > self._max_bytes:
            self._evict()

    def drop(self, names: Iterable[str]) -> None:
        """Keys or tags have changed: forget what they stand for, and what is being looked up of it."""
        self.moment += 1
        for name in names:
            self._dropped[name] = self.moment
            self._remove(name)
            for key in self._keys_of_tags.pop(name, ()):
                self._remove(key)
        if len(self._dropped) > MAX_DROPPED:
            self._dropped.clear()
            self._all_dropped = self.moment

    def clear(self) -> None:
        """Everything may have changed."""
        self.moment += 1
        self._all_dropped = self.moment
        self._dropped.clear()
        self._entries.clear()
        self._keys_of_tags.clear()
        self.n_bytes = 0

    def _evict(self) -> None:
        """Remove the oldest entry that was not used since it was passed over (second chance)."""
        while True:
            key = next(iter(self._entries))
            kept = self._entries[key]
            if not kept.used:
                self._remove(key)
                return
            kept.used = False
            del self._entries[key]
            self._entries[key] = kept

    def _remove(self, key: str) -> None:
        kept = self._entries.pop(key, None)
        if kept is None:
            return
        self.n_bytes -= kept.n_bytes
        for tag in kept.tags:
            keys = self._keys_of_tags.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._keys_of_tags[tag]
