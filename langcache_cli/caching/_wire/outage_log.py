"""One log line when Redis is lost, and one when it is back; the same for a replica in its place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._wire.server_identity import ServerIdentity

logger = logging.getLogger("langcache_cli.caching")


class Outages(Protocol):
    """What the connection to one server says about outages: `OutageLog`, or that of a node of a cluster."""

    @property
    def lost(self) -> bool:
        """True from the first line to the second."""
        ...

    def begin(self, reason: CacheUnavailableError) -> None:
        """The server is lost."""

    def bypassed(self) -> None:
        """Count a call that was not sent to the server, or not answered."""

    def end(self) -> None:
        """The server has answered."""

    def connected(self, server: ServerIdentity | None, target: str) -> None:
        """There is a new connection."""


class OutageLog:
    """What one cache logs about its server, for all its event loops together."""

    def __init__(
        self,
        name: str = "Redis",
        *,
        on_end: Callable[[str, float, int], object] = lambda _name, _seconds, _bypassed: None,
    ) -> None:
        """Start without an outage of a server.

        Args:
            name: What to call the server.
            on_end: Called at the end of an outage, with the name, how many seconds it lasted, and how many
                calls went without the server.
        """
        self.lost = False
        """True from the first line to the second."""
        self._name = name
        self._on_end = on_end
        self._nodes: dict[str, OutageLog] = {}
        self._leads_to_replica = False
        self._since = 0.0
        self._bypassed = 0

    def begin(self, reason: CacheUnavailableError) -> None:
        """Redis is lost; says so unless it was known."""
        if not self.lost:
            self.lost, self._since, self._bypassed = True, monotonic(), 0
            logger.warning(
                "%s is lost, and calls run their functions until it is back: %s", self._name, reason
            )

    def bypassed(self) -> None:
        """Count a call that was not sent to Redis, or not answered."""
        self._bypassed += 1

    def end(self, how: str = "is back") -> None:
        """Redis has answered, or is needed no more."""
        if self.lost:
            self.lost = False
            seconds = monotonic() - self._since
            logger.warning(
                "%s %s after %.1f s; %d calls went without it", self._name, how, seconds, self._bypassed
            )
            self._on_end(self._name, seconds, self._bypassed)

    def of_node(self, node: str) -> OutageLog:
        """The log of one node of a cluster, by host and port."""
        return self._nodes.setdefault(node, OutageLog(f"The node {node} of the cluster", on_end=self._on_end))

    def connected(self, server: ServerIdentity | None, target: str) -> None:
        """There is a new connection; says so if it leads to a replica, and when it does no more."""
        if server is None or server.is_replica == self._leads_to_replica:
            return
        self._leads_to_replica = server.is_replica
        if server.is_replica:
            logger.warning(
                "REDIS_URL names a replica (%s): nothing can be stored or invalidated there. Set it to the "
                "primary, %s, or to a name that always leads to the primary",
                target,
                server.primary,
            )
        else:
            logger.warning("REDIS_URL leads to a primary again (%s)", target)
