"""Nodes of a cluster that answer when a test says so."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.slots import SLOTS, slot_of
from langcache_cli.caching._errors import CacheUnavailableError


class Connection:
    """Takes requests, and answers when a test says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[Sequence[Any], asyncio.Future[list[Any]]]] = []
        self.sent: list[tuple[bytes, Sequence[Callable[[Any], object]]]] = []
        self.alive = True

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        self.push, self.end = on_push, on_end

    def request(self, commands: Sequence[Any]) -> SimpleNamespace:
        self.requests.append((commands, asyncio.get_running_loop().create_future()))
        return SimpleNamespace(future=self.requests[-1][1])

    def send_at_once(self, encoded: bytes, receivers: Sequence[Callable[[Any], object]]) -> None:
        self.sent.append((encoded, receivers))

    async def answer(self, name: str, *replies: Any) -> None:
        """Answer the last request, whose last command is this one."""
        commands, future = self.requests[-1]
        assert commands[-1][0] == name
        future.set_result(list(replies) or [b"OK"] * len(commands))
        await asyncio.sleep(0)

    def asked(self, name: str) -> list[Any]:
        """The arguments of all requests of a command."""
        return [commands[-1][1] for commands, _ in self.requests if commands[-1][0] == name]


class Nodes:
    """Two primaries, with the even and the odd slots."""

    def __init__(self) -> None:
        self.both = [self._node(Connection()) for _ in range(2)]
        self.slots: list[ClusterNode | None] = self.both * (SLOTS // 2)
        self.on_handover: Callable[[Iterable[ClusterNode | None]], object]
        self.refreshed: list[ClusterNode] = []

    def _node(self, connection: Connection) -> ClusterNode:
        node = ClusterNode(
            SimpleNamespace(connection=connection, unusable=lambda: None),  # type: ignore[arg-type] # all that is used of it
            node_id="",
            spawn=lambda _: None,
            contradiction=lambda _: None,  # type: ignore[arg-type,return-value] # never asked
            on_trouble=lambda _: None,
        )
        node.latest = connection  # type: ignore[assignment]
        node.heard_at = float("inf")  # never silent, however slow the machine is
        return node

    @property
    def topology(self) -> "Nodes":
        return self

    @property
    def nodes(self) -> list[ClusterNode]:
        return self.both

    def node_of(self, key: str) -> ClusterNode | Exception:
        return self.slots[slot_of(key)] or CacheUnavailableError("none", target="")

    def refresh_soon(self, avoid: ClusterNode) -> None:
        self.refreshed.append(avoid)

    def connection(self, place: int) -> Any:
        return self.both[place].node.connection

    def name(self, place: int, stem: str = "cache:word") -> str:
        """A key on one of them."""
        return next(key for n in range(100) if slot_of(key := f"{stem}:{n}") % 2 == place)
