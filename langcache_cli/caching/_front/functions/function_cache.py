"""The part of `Cache` that a cached function uses.

A protocol: `Cache` makes cached functions, and they must not import it in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._front.modes.modes import Modes
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._sync.thread_reads import ThreadReads


class FunctionCache(Protocol):
    """Where the entries of a cached function are."""

    @property
    def settings(self) -> CacheSettings:
        """The settings of the cache."""
        ...

    @property
    def enabled(self) -> bool:
        """False sends every call straight to its function."""
        ...

    @property
    def direct(self) -> bool:
        """True if every call is answered as usual: it is enabled, and no block or observer is there."""
        ...

    @property
    def modes(self) -> Modes:
        """The blocks and observers of the cache."""
        ...

    def label(self, spec: FunctionSpec, /) -> Label:
        """What the calls of a function are counted under."""
        ...

    def reader(self, spec: FunctionSpec, /) -> Reader:
        """The reader of a function on the running event loop."""
        ...

    def thread_reads(self, spec: FunctionSpec, /) -> ThreadReads | None:
        """How threads without an event loop read by themselves; None while they go through the loop."""
        ...

    async def invalidate_keys(self, keys: Sequence[str], spec: FunctionSpec | None = None) -> int:
        """Remove full keys; returns how many there were."""
        ...
