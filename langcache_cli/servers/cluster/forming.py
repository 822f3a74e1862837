"""Make one cluster of nodes that were just started, or wait until those of an earlier one have met."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from langcache_cli.servers.cluster.shape import ClusterShape
from langcache_cli.servers.errors import StartFailedError
from langcache_cli.servers.probe import PROBE_SECONDS
from langcache_cli.servers.spec import ServerSpec

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisConnection

_SLOTS: Final = 16384
_POLL_SECONDS: Final = 0.05
_MEET_AGAIN_SECONDS: Final = 0.5
_FLAGS, _LINK_STATE = 2, 7  # the columns of CLUSTER NODES


async def form(nodes: Sequence[ServerSpec], shape: ClusterShape, wait_seconds: float) -> None:
    """Return once all nodes know each other, all slots are served and all replicas follow.

    Args:
        nodes: All nodes, which answer. Those without slots, peers and data are made a cluster first.
        shape: Which of them are primaries: the first ones.
        wait_seconds: How long that may take.

    Raises:
        StartFailedError: It took longer, or a node refused.
    """
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see `probe`

    try:
        async with asyncio.timeout(wait_seconds), _connected(nodes) as links:
            cluster = _Cluster(links, nodes)
            await cluster.share_password()
            if await cluster.is_new():
                await cluster.make(shape)
            await cluster.wait_ready(shape)
    except TimeoutError:
        raise _failed(f"The nodes were not one cluster within {wait_seconds:g} s.") from None
    except (OSError, ServerReplyError) as error:
        raise _failed(f"A node left or refused a command: {error}.") from error


async def state_of(node: ServerSpec) -> str | None:
    """``ok`` if all slots are served, as a node says it within a second; None if it does not."""
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see `probe`

    try:
        async with asyncio.timeout(PROBE_SECONDS), _connected([node]) as (link,):
            info = await _info(link)
            state = info.get("cluster_state")
            return "fail" if state == "ok" and not _is_whole(info) else state
    except (OSError, ServerReplyError):
        return None


def meeting_host(host: str) -> str:
    """The address by which nodes name each other: names are not allowed, and IPv6 may be missing."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).version == 4:  # noqa: PLR2004
            return host
    return "127.0.0.1"


@contextlib.asynccontextmanager
async def _connected(nodes: Sequence[ServerSpec]) -> AsyncIterator[list[RedisConnection]]:
    from langcache_cli.caching.tooling import connect  # noqa: PLC0415 - see `probe`

    with contextlib.ExitStack() as opened:
        links = []
        for node in nodes:
            links.append(await connect(node.address))
            opened.callback(links[-1].abort)
        yield links


class _Cluster:
    """Commands to all nodes; ``links`` and ``nodes`` are in the same order."""

    def __init__(self, links: Sequence[RedisConnection], nodes: Sequence[ServerSpec]) -> None:
        self._links = links
        self._nodes = nodes

    async def share_password(self) -> None:
        """Let replicas log in to their primaries. Not in redis.conf, where only the password's hash is."""
        node = self._nodes[0]
        if node.password is None:
            return
        for link in self._links:
            if node.username is not None:
                await _say(link, "CONFIG", "SET", "masteruser", node.username)
            await _say(link, "CONFIG", "SET", "masterauth", node.password)

    async def is_new(self) -> bool:
        """True if no node has slots or knows another."""
        infos = [await _info(link) for link in self._links]
        return all(info["cluster_known_nodes"] == "1" for info in infos) and all(
            info["cluster_slots_assigned"] == "0" for info in infos
        )

    async def make(self, shape: ClusterShape) -> None:
        primaries, replicas = self._links[: shape.primaries], self._links[shape.primaries :]
        for place, link in enumerate(self._links):
            await _say(link, "CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for place, link in enumerate(primaries):
            first, end = (number * _SLOTS // shape.primaries for number in (place, place + 1))
            await _say(link, "CLUSTER", "ADDSLOTS", *range(first, end))
        await self._meet()
        for place, link in enumerate(replicas):
            node_id = await _say(primaries[place % shape.primaries], "CLUSTER", "MYID")
            await _until_replica(link, node_id)
        await _poll(self._all_ok)
        for link in primaries:
            await _write_once(link)  # a replica is listed once its offset is not 0: else after ten seconds

    async def wait_ready(self, shape: ClusterShape) -> None:
        """Wait for all slots, and for each replica to be in step and listed."""

        async def ready() -> bool:
            if not await self._all_ok():
                return False
            rows = await _say(self._links[0], "CLUSTER", "SLOTS")
            named = {node[1] for row in rows for node in row[2:]}
            roles = [await _say(link, "ROLE") for link in self._links]
            following = sum(role[0] == b"slave" and role[3] == b"connected" for role in roles)
            return len(named) == shape.n_nodes and following == shape.n_nodes - shape.primaries

        await _poll(ready)

    async def _all_ok(self) -> bool:
        infos = [await _info(link) for link in self._links]
        return all(info["cluster_state"] == "ok" and _is_whole(info) for info in infos)

    async def _meet(self) -> None:
        """Every node meets every other: nothing waits for gossip. Again where a handshake was lost."""
        met_at = 0.0

        async def all_know_all() -> bool:
            nonlocal met_at
            known = [await _connected_ports(link) for link in self._links]
            if time.monotonic() - met_at > _MEET_AGAIN_SECONDS:
                met_at = time.monotonic()
                for place, link in enumerate(self._links):
                    for other in self._nodes[place + 1 :]:
                        if other.port not in known[place]:
                            await _say(link, "CLUSTER", "MEET", meeting_host(other.host), other.port)
            return all(len(ports) == len(self._nodes) for ports in known)

        await _poll(all_know_all)


def _is_whole(info: dict[str, str]) -> bool:
    """True if every slot is served; a cluster that needs no full coverage is ``ok`` without that, too."""
    return info.get("cluster_slots_ok") == str(_SLOTS)


async def _until_replica(link: RedisConnection, node_id: Any) -> None:
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see `probe`

    async def is_replica() -> bool:
        try:
            await _say(link, "CLUSTER", "REPLICATE", node_id)
        except ServerReplyError as error:
            if "Unknown node" in str(error) or "only replicate a master" in str(error):
                return False  # it has not heard of that node's role yet
            raise
        return True

    await _poll(is_replica)


async def _write_once(link: RedisConnection) -> None:
    """Write and delete some key that lies on this node."""
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see `probe`

    for number in range(1000):
        key = f"langcache-first-{number}"
        try:
            await _say(link, "SET", key, "", "PX", 1000)
            await _say(link, "UNLINK", key)
        except ServerReplyError as error:
            if error.code != "MOVED":
                raise
        else:
            return


async def _connected_ports(link: RedisConnection) -> set[int]:
    lines = [line.split() for line in (await _say(link, "CLUSTER", "NODES")).decode().splitlines()]
    return {
        int(line[1].partition("@")[0].rpartition(":")[2])
        for line in lines
        if "handshake" not in line[_FLAGS] and line[_LINK_STATE] == "connected"
    }


async def _info(link: RedisConnection) -> dict[str, str]:
    text = (await _say(link, "CLUSTER", "INFO")).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def _say(link: RedisConnection, *words: Any) -> Any:
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see `probe`
    from langcache_cli.caching.tooling import ask  # noqa: PLC0415 - see `probe`

    (reply,) = await ask(link, [words])
    if isinstance(reply, ServerReplyError):
        raise reply
    return reply


async def _poll(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - the condition is in other processes
        await asyncio.sleep(_POLL_SECONDS)


def _failed(message: str) -> StartFailedError:
    return StartFailedError(message, hint="The nodes were stopped again. Try a longer --wait.")
