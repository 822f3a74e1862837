"""Which server has confirmed an invalidation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from langcache_cli.caching._errors import CacheError, CacheUnavailableError
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.server_identity import ServerIdentity


class Removal(NamedTuple):
    """What became of keys that were to be removed.

    Attributes:
        removed: How many there were, among those that were reached.
        confirmed: The keys that are gone now, with the server that has said so; None for one that does not
            say who it is.
        unreached: Those that no node has confirmed.
        problem: Why not; None if there are none.
    """

    removed: int
    confirmed: Sequence[tuple[Sequence[str], ServerIdentity | None]]
    unreached: Sequence[str] = ()
    problem: CacheError | None = None


class Confirmation:
    """Made before commands of an invalidation are sent to a node; knows afterwards which server had them all.

    A connection that was made in between may lead to a server that has had only some, or none.
    """

    def __init__(self, node: Node) -> None:
        """Begin: the next command to ``node`` belongs to the invalidation."""
        self.node = node
        connection = node.connection
        self._connects_first = connection is None or not connection.alive
        self._made = node.connections_made

    def server(self) -> ServerIdentity | None:
        """The server; None if it does not say who it is.

        Raises:
            CacheUnavailableError: It may have been more than one.
        """
        made = self.node.connections_made - self._made
        connection = self.node.connection
        if connection is None or made > int(self._connects_first):
            raise CacheUnavailableError(
                "the connection was replaced meanwhile", target=str(self.node.address)
            )
        return connection.server
