"""Which map of the slots is used when nodes disagree."""

import asyncio
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest

from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.cluster import topology as module
from langcache_cli.caching._deployment.cluster.slots import SLOTS
from langcache_cli.caching._deployment.cluster.topology import Topology
from langcache_cli.caching._errors import CacheUnavailableError

OLD, NEW = 7000, 7001


class View:
    """A node of a cluster: who has all slots, the epoch, and whether all is well, as it sees it."""

    def __init__(self, owner: int, epoch: int, *, ok: bool = True) -> None:
        self.owner, self.epoch, self.ok = owner, epoch, ok
        self.silent = False

    def replies(self) -> list[Any]:
        state = "ok" if self.ok else "fail"
        return [
            [[0, SLOTS - 1, [b"10.0.0.1", self.owner, str(self.owner).encode()]]],
            f"cluster_state:{state}\r\ncluster_current_epoch:{self.epoch}\r\n".encode(),
        ]


class Views:
    """The topology of a cluster whose nodes have these views, by port."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **views: View) -> None:
        monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0)
        monkeypatch.setattr(module, "LAST_PAUSE_SECONDS", 0.0)
        self.views = {int(port.removeprefix("at_")): view for port, view in views.items()}
        hosts = ",".join(f"10.0.0.1:{port}" for port in self.views)
        self.topology = Topology(
            RedisTarget.parse(f"redis+cluster://{hosts}/0"),
            new_node=self._new_node,
            connect=Mock(),
            timeout=1.0,
            clock=Mock(),
            spawn=lambda work: asyncio.get_running_loop().create_task(work),
            on_moved=lambda _: None,
        )

    def _new_node(self, address: Any, node_id: str) -> Any:
        async def call_many(commands: Sequence[Any], *, budget: object) -> list[Any]:
            view = self.views[address.port]
            if view.silent:
                raise CacheUnavailableError("connection refused", target=str(address))
            return view.replies()

        return Mock(node=Mock(address=address, call_many=call_many), node_id=node_id, is_connected=False)

    async def owner(self) -> int:
        """The port of the node that has the slots, once they were asked for again."""
        self.topology.refresh_soon()
        assert self.topology._refresh is not None
        await self.topology._refresh
        owner = self.topology.slots[0]
        assert owner is not None
        return owner.node.address.port


async def test_a_newer_map_is_used_and_an_older_one_is_not(monkeypatch):
    views = Views(monkeypatch, at_7000=View(OLD, 5), at_7001=View(OLD, 5), at_7002=View(OLD, 5))
    assert await views.owner() == OLD
    views.views[NEW].owner, views.views[NEW].epoch = NEW, 6
    views.views[OLD].silent = True
    while await views.owner() == OLD:  # whom it asks first is random
        pass
    assert {await views.owner() for _ in range(20)} == {NEW}


async def test_nodes_that_say_that_the_cluster_is_down_and_disagree_do_not_change_the_map(monkeypatch):
    views = Views(monkeypatch, at_7000=View(NEW, 6), at_7001=View(NEW, 6), at_7002=View(NEW, 6))
    assert await views.owner() == NEW
    for port, owner in ((7000, NEW), (7001, OLD), (7002, OLD)):
        views.views[port] = View(owner, 6, ok=False)
    assert {await views.owner() for _ in range(20)} == {NEW}


async def test_a_newer_map_of_a_node_that_says_that_the_cluster_is_down_is_used(monkeypatch):
    views = Views(monkeypatch, at_7000=View(OLD, 5), at_7001=View(OLD, 5))
    assert await views.owner() == OLD
    views.views = {7000: View(OLD, 5, ok=False), 7001: View(NEW, 6, ok=False)}
    assert {await views.owner() for _ in range(20)} == {NEW}


async def test_a_node_that_is_well_is_believed_before_a_newer_one_that_is_not(monkeypatch):
    """A replica that asks for votes in vain counts its epoch up."""
    views = Views(monkeypatch, at_7000=View(NEW, 6), at_7001=View(OLD, 9, ok=False), at_7002=View(NEW, 6))
    assert {await views.owner() for _ in range(20)} == {NEW}


async def test_a_cluster_that_was_formed_anew_with_lower_epochs_is_believed(monkeypatch):
    views = Views(monkeypatch, at_7000=View(OLD, 9), at_7001=View(OLD, 9))
    assert await views.owner() == OLD
    views.views = {7000: View(NEW, 2), 7001: View(NEW, 2)}
    assert await views.owner() == NEW


async def test_without_a_map_a_node_that_says_that_the_cluster_is_down_is_believed(monkeypatch):
    views = Views(monkeypatch, at_7000=View(NEW, 3, ok=False))
    assert await views.owner() == NEW
