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

CLUSTER_SHARES = 1 / 2, 4 / 5
"""Of the time that is left, what background work, then invalidations may take: one node may hang alone."""


async def deliver_the_rest(
    server: Server, background: Background, *, delivery: Delivery, outbox: Outbox, publisher: Publisher
) -> None:
    """Wait for the background work, then deliver; what hangs costs about the budget of one call in all."""
    ends = server.clock.time() + server.timeout

    def left(share: float = 1.0) -> float:
        return max((ends - server.clock.time()) * share, LEAST_SHARE * server.timeout)

    for_background, for_invalidations = CLUSTER_SHARES if server.is_cluster else (1.0, 1.0)
    await background.finish(left(for_background))
    try:
        if _is_lost(server):  # what was waited for has shown it, or a call before
            await server.ping(budget=Budget(left()))
        await delivery.now(within=left(for_invalidations))
    except CacheError as error:
        _warn_of(outbox, error)
        if _is_lost(server):
            return  # the counters would only wait for the same server
    if publisher.writer.is_down and not _is_lost(server):
        publisher.writer.use(server)  # its own connection does not know yet that the server is back
    with contextlib.suppress(CacheError):
        await publisher.now(within=left())


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
