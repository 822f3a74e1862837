"""Finding loads of several processes that wait for each other: a waits for b here, b for a elsewhere.

A call inside a load that waits for a load of another process writes down, for a second at a time, which load
waits for which, and follows what others have written. Calls outside of any load write and read nothing.
"""

from __future__ import annotations

import asyncio

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._single_flight.nesting import held_up, is_inside, reachable
from langcache_cli.caching._wire.budget import Budget

PAUSE_SECONDS = 0.1
"""Most waits are shorter, and cost no command."""

KEPT_MS = 1000
MAX_TOKENS = 100
"""Upper bound for the loads that are written down or followed; a longer circle ends at LOAD_TIMEOUT."""


class CycleWatch:
    """The watch of one call that waits for a load of another process."""

    def __init__(self, server: Server, namespace: str, token: str) -> None:
        """Prepare; ``token`` is that of the load that the call waits for."""
        self._server = server
        self._namespace = namespace
        self._token = token

    async def found(self) -> None:
        """Return once that load waits for a load around the running code."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)  # most waits end before the first look, and cost nothing
            try:
                await self._publish()
                if await self._waits_for_us():
                    return
            except CacheError:
                continue  # the next attempt is a tenth of a second away

    async def _publish(self) -> None:
        commands = [
            ("SET", self._key(token), ",".join(sorted(reachable(token) - {token})), "PX", KEPT_MS)
            for token in held_up()[:MAX_TOKENS]
        ]
        await self._server.call_many(commands, budget=Budget(self._server.timeout))

    async def _waits_for_us(self) -> bool:
        known: set[str] = set()
        pending = {self._token}
        while pending and len(known) < MAX_TOKENS:
            known |= pending
            replies = await self._server.call_many(
                [("GET", self._key(token)) for token in pending], budget=Budget(self._server.timeout)
            )
            texts = [reply.decode("ascii", "replace") for reply in replies if isinstance(reply, bytes)]
            listed = {token for text in texts for token in text.split(",")[:MAX_TOKENS]}
            awaited = {one for token in listed for one in reachable(token)}
            if any(map(is_inside, awaited)):
                return True
            pending = awaited - known
        return False

    def _key(self, token: str) -> str:
        return f"{self._namespace}@wait:{token}"
