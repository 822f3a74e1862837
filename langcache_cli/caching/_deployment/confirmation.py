"""Which server has confirmed an invalidation."""

from __future__ import annotations

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.server_identity import ServerIdentity


class Confirmation:
    """Made before the commands of an invalidation are sent; knows afterwards which server had them all.

    A connection that was made in between may lead to a server that has had only some, or none.
    """

    def __init__(self, node: Node | None) -> None:
        """Begin: the next command to ``node`` belongs to the invalidation. None stands for several nodes."""
        self._node = node
        if node is None:
            return
        connection = node.connection
        self._connects_first = connection is None or not connection.alive
        self._made = node.connections_made

    def server(self) -> ServerIdentity | None:
        """The server; None if it does not say who it is.

        Raises:
            CacheUnavailableError: It may have been more than one.
        """
        if self._node is None:
            return None
        made = self._node.connections_made - self._made
        connection = self._node.connection
        if connection is None or made > int(self._connects_first):
            raise CacheUnavailableError(
                "the connection was replaced meanwhile", target=str(self._node.address)
            )
        return connection.server
