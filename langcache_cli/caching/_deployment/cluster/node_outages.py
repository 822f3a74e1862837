"""One log line when a node of a cluster is lost, and one when it is back or another has its slots."""

from __future__ import annotations

from collections.abc import Callable

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._wire.outage_log import OutageLog
from langcache_cli.caching._wire.server_identity import ServerIdentity


class NodeOutageLog:
    """What one event loop logs about a node; all loops of a cache share what is known of it."""

    def __init__(self, whole: OutageLog, node: str, *, has_slots: Callable[[], bool]) -> None:
        """Prepare.

        Args:
            whole: The log of the cache.
            node: Host and port.
            has_slots: False for a node that is only asked where the slots are: its end costs no call.
        """
        self._shared = whole.of_node(node)
        self._has_slots = has_slots

    @property
    def lost(self) -> bool:
        """True from the first line to the second."""
        return self._shared.lost

    def begin(self, reason: CacheUnavailableError) -> None:
        """The node is lost; says so unless it was known."""
        if self._has_slots():
            self._shared.begin(reason)

    def bypassed(self) -> None:
        """Count a call that was not sent to the node, or not answered."""
        self._shared.bypassed()

    def end(self) -> None:
        """The node has answered."""
        self._shared.end()

    def replaced(self) -> None:
        """Other nodes have its slots."""
        self._shared.end("is no longer needed, as other nodes have its slots,")

    def connected(self, server: ServerIdentity | None, target: str) -> None:
        """A replica is no mistake in a cluster: it is asked where the slots are."""
