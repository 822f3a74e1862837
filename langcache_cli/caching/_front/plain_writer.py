"""Sending plain values to Redis."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from langcache_cli.caching._errors import SizeRefusedError
from langcache_cli.caching._loading.size_refusals import sent_by_size
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._wire.budget import Budget

logger = logging.getLogger("langcache_cli.caching")

MAX_WARNINGS = 1_000

SetCommand = tuple[str, str, bytes, str, int]
"""``SET``, the full key, the entry, ``PX`` and the TTL in milliseconds."""


class PlainWriter:
    """Sends the SET commands of one cache."""

    def __init__(self, *, show_keys: bool) -> None:
        """Prepare.

        Args:
            show_keys: ``LANGCACHE_LOG_VALUES``: warnings show whole keys, not only how they begin.
        """
        self._show_keys = show_keys
        self._warned: set[str] = set()

    async def send(self, runtime: Runtime, keys: Sequence[str], commands: Sequence[SetCommand]) -> list[Any]:
        """The replies; an error in the place of each value that was not stored.

        Args:
            runtime: Of the running event loop.
            keys: As the application has given them.
            commands: One for each key.

        Raises:
            CacheError: Redis did not confirm.
        """
        budget = Budget(runtime.server.timeout)

        async def send(places: Sequence[int]) -> list[Any]:
            return await runtime.server.call_many([commands[place] for place in places], budget=budget)

        full_keys = [command[1] for command in commands]
        key_of = dict(zip(full_keys, keys, strict=True))
        sizes = [len(command[2]) for command in commands]
        return await sent_by_size(
            runtime, full_keys, sizes, send, warn=lambda full_key, error: self._warn(key_of[full_key], error)
        )

    def _warn(self, key: str, error: SizeRefusedError) -> None:
        """Log, once for each key, that a value is not stored."""
        if key in self._warned or len(self._warned) >= MAX_WARNINGS:
            return
        self._warned.add(key)
        prefix, colon, _ = key.partition(":")
        where = f"under {key!r} " if self._show_keys else f"under {prefix!r} " if colon else ""
        logger.warning("a plain value %sis not cached: %s", where, error)
