"""Sending what is in the outbox until Redis has confirmed it: from a timer, whether or not anybody calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._invalidation.outbox import Outbox, Waiting
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._protocol.scanning import unlink
from langcache_cli.caching._wire.node import Node

FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 1.0
"""Like the probes of the breaker, which each attempt sets off."""

KEYS_PER_COMMAND = 500


class Delivery:
    """Empties the outbox on behalf of one event loop."""

    def __init__(
        self,
        outbox: Outbox,
        node: Node,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_delivered: Callable[[int], object],
    ) -> None:
        """Prepare.

        Args:
            outbox: What to send.
            node: Where to.
            spawn: Runs the work in the background.
            on_delivered: Told how many invalidations Redis has confirmed.
        """
        self._outbox = outbox
        self._node = node
        self._spawn = spawn
        self._on_delivered = on_delivered
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = False
        self._stopped = False
        self._pause = 0.0

    def soon(self) -> None:
        """Send it, or go on trying; does nothing when there is nothing to send."""
        if self._outbox and self._timer is None and not self._under_way and not self._stopped:
            self._timer = self._loop.call_later(self._pause, self._start)

    def stop(self) -> None:
        """Try no more. What is left stays in the outbox, for the next event loop."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def now(self) -> None:
        """Send it now.

        Raises:
            CacheError: Redis did not confirm all of it.
        """
        waiting = self._outbox.waiting()
        keys = iter([item for item in waiting if isinstance(item, str)])
        while batch := list(islice(keys, KEYS_PER_COMMAND)):
            await self._node.call("UNLINK", *batch)
            self._confirm({key: waiting[key] for key in batch})
        for item in waiting:
            if isinstance(item, Selection):
                await unlink(self._node, item)
                self._confirm({item: waiting[item]})

    def _confirm(self, confirmed: dict[Invalidation, Waiting]) -> None:
        self._on_delivered(self._outbox.delivered(confirmed))

    def _start(self) -> None:
        self._timer = None
        self._under_way = True
        self._spawn(self._attempt())

    async def _attempt(self) -> None:
        try:
            await self.now()
        except CacheError:
            self._pause = min(max(2 * self._pause, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
        else:
            self._pause = 0.0
        finally:
            self._under_way = False
        self.soon()
