"""What a cache still delivers before it is closed on an event loop: invalidations, then counters."""

from __future__ import annotations

import contextlib
import logging

from langcache_cli.caching._background import Background
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._statistics.publisher import Publisher
from langcache_cli.caching._wire.budget import Budget

logger = logging.getLogger("langcache_cli.caching")

LEAST_SHARE = 0.1
"""Of the budget of a call: so long at least a server that has just not answered is asked once more."""


async def deliver_the_rest(
    server: Server, background: Background, *, delivery: Delivery, outbox: Outbox, publisher: Publisher
) -> None:
    """Wait for the background work, then deliver; a server that hangs costs about the budget of one call."""
    started = server.clock.time()
    await background.finish(server.timeout)
    waited = server.clock.time() - started
    try:
        if _is_lost(server):  # what was waited for has shown it, or a call before
            left = max(server.timeout - waited, LEAST_SHARE * server.timeout)
            await server.ping(budget=Budget(left))
        await delivery.now()
    except CacheError as error:
        _warn_of(outbox, error)
        if _is_lost(server):
            return  # the counters would only wait for the same server
    with contextlib.suppress(CacheError):
        await publisher.now(within=server.timeout)


def _is_lost(server: Server) -> bool:
    """True if it would be in vain to send anything; one node of a cluster that is away leaves the others."""
    return server.is_down if server.is_cluster else server.is_failing


def _warn_of(outbox: Outbox, error: CacheError) -> None:
    if outbox:  # otherwise only the next server was not met
        logger.warning(
            "%d invalidations were not delivered; if the process ends now, other processes go on serving "
            "those entries until they expire: %s",
            len(outbox),
            error,
        )
