"""Commands to a cluster: each goes to the node of its slot, and follows redirects on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._deployment.confirmation import Confirmation
from langcache_cli.caching._deployment.server import Command
from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._wire.budget import Budget

MAX_REDIRECTS = 5
"""A longer chain means that the nodes do not agree: the caller does without the cache."""

TRY_AGAIN_SECONDS = 0.01
"""Pause before a command is repeated because its slot is on its way."""


KEY_PLACES = {"EVAL": 3, "EVALSHA": 3, "MEMORY": 2}
"""Where the key of a command stands; second in all others."""


def key_of(command: Command) -> str | bytes:
    """The key that a command is about."""
    key = command[KEY_PLACES.get(str(command[0]), 1)]
    return key if isinstance(key, bytes) else str(key)


class Item:
    """Commands for one slot, which one node answers together.

    Attributes:
        key: A key of the slot.
        slot: The slot.
        commands: What to send.
        earlier: Replies of a node that has since handed the slot over.
        reply: The replies, or why there are none.
        confirmation: Of the node that was asked last.
    """

    __slots__ = ("asking", "commands", "confirmation", "earlier", "key", "reply", "slot", "target")

    def __init__(self, key: str | bytes, commands: Sequence[Command]) -> None:
        self.key = key
        self.slot = slot_of(key)
        self.commands = commands
        self.earlier: list[Any] = []
        self.reply: list[Any] | CacheUnavailableError | None = None
        self.confirmation: Confirmation | None = None
        self.target: ClusterNode | None = None
        """Where a redirect leads; None for the node of the slot."""
        self.asking = False

    def encoded_for(self) -> list[Command]:
        """What to send: ``ASKING`` holds for one command."""
        if not self.asking:
            return list(self.commands)
        return [part for command in self.commands for part in (("ASKING",), command)]

    def take(self, replies: list[Any]) -> list[Any]:
        """The replies to the commands, out of those to `encoded_for`."""
        return replies[1::2] if self.asking else replies


class Map(Protocol):
    """What an exchange needs of the cluster."""

    def node_of_slot(self, slot: int) -> ClusterNode | CacheUnavailableError:
        """The node that serves a slot, or why there is none."""

    def redirect(self, reply: ServerReplyError, asked: ClusterNode) -> tuple[ClusterNode, bool]:
        """The node that a redirect leads to, and True if it only receives the slot (``ASK``)."""

    def is_down_error(self, reply: ServerReplyError) -> CacheUnavailableError:
        """The error for ``CLUSTERDOWN``."""

    def unavailable(self, reason: str) -> CacheUnavailableError:
        """An error for this reason."""

    def refresh_soon(self) -> None:
        """Ask which node has which slots."""


async def exchange(items: Sequence[Item], cluster: Map, budget: Budget) -> None:
    """Send items, and set `Item.reply` of each. Redirected commands were not executed, lost ones perhaps."""
    todo = list(items)
    for _ in range(MAX_REDIRECTS + 1):
        groups: dict[ClusterNode, list[Item]] = {}
        for item in todo:
            node = item.target or cluster.node_of_slot(item.slot)
            if isinstance(node, CacheUnavailableError):
                item.reply = node
            else:
                groups.setdefault(node, []).append(item)
        own = [Budget(budget.left) for _ in groups]
        asked = list(map(_ask, groups.keys(), groups.values(), own))
        await (asked[0] if len(asked) == 1 else asyncio.gather(*asked))  # one, as most are, needs no task
        budget.left = min([one.left for one in own], default=budget.left)
        todo = [item for item in todo if _is_redirected(item, cluster)]
        if not todo:
            return
        if any(item.target is None for item in todo):  # TRYAGAIN
            await asyncio.sleep(TRY_AGAIN_SECONDS)
    for item in todo:
        item.reply = cluster.unavailable(f"redirected more than {MAX_REDIRECTS} times")


def some_of(replies: list[Any]) -> list[Any]:
    """Replies, with errors in the place of those that no node has given.

    Raises:
        CacheUnavailableError: No node was reached.
    """
    if replies and all(isinstance(reply, CacheUnavailableError) for reply in replies):
        raise replies[0]
    return replies


async def _ask(node: ClusterNode, items: Sequence[Item], budget: Budget) -> None:
    """Send items to one node."""
    parts = [item.encoded_for() for item in items]
    key = next((item.key for item in items if not item.asking), None)
    confirmation = Confirmation(node.node)
    try:
        replies = await node.call_many([command for part in parts for command in part], budget, key=key)
    except CacheUnavailableError as error:
        for item in items:
            item.reply = error
        return
    at = 0
    for item, part in zip(items, parts, strict=True):
        item.reply = item.take(replies[at : at + len(part)])
        at += len(part)
        item.target, item.confirmation = node, confirmation


def _is_redirected(item: Item, cluster: Map) -> bool:
    """True if the item must be sent again, and where to is set."""
    asked, item.target = item.target, None
    if asked is None or not isinstance(item.reply, list):
        return False
    for reply in item.reply:
        if not isinstance(reply, ServerReplyError):
            continue
        if reply.code in ("MOVED", "ASK"):
            item.earlier += [one for one in item.reply if not isinstance(one, ServerReplyError)]
            item.target, item.asking = cluster.redirect(reply, asked)
            return True
        if reply.code == "TRYAGAIN":
            item.asking = False
            cluster.refresh_soon()
            return True
        if reply.code == "CLUSTERDOWN":
            item.reply = cluster.is_down_error(reply)
            return False
    return False
