"""Removing keys of a cluster, and which server has confirmed it of which key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from langcache_cli.caching._deployment.cluster.exchange import Item
from langcache_cli.caching._deployment.cluster.topology import Topology
from langcache_cli.caching._deployment.confirmation import Removal
from langcache_cli.caching._errors import CacheError, CacheUnavailableError, ServerReplyError
from langcache_cli.caching._wire.server_identity import ServerIdentity


def removals(keys: Sequence[str | bytes]) -> list[Item]:
    """What to send for keys that are to be removed.

    A MIGRATE whose answer was lost leaves a key on both nodes. ``EXISTS`` shows whether the slot is on its
    way, and if so the key is removed from the other node, too.
    """
    return [Item(key, [("UNLINK", key), ("EXISTS", key)]) for key in keys]


def removed(item: Item) -> bool:
    """True if there was such a key; the item has its replies."""
    return isinstance(item.reply, list) and bool(item.reply[0] or any(item.earlier))


def removal_of(keys: Sequence[str], items: Sequence[Item], topology: Topology) -> Removal:
    """What became of keys, once the `removals` were exchanged. To be called at once after that."""
    confirmed = defaultdict[ServerIdentity | None, list[str]](list)
    unreached, count, problem = list[str](), 0, None
    for key, item in zip(keys, items, strict=True):
        try:
            confirmed[_confirmed_by(item, topology)].append(key)
        except CacheError as error:
            unreached.append(key)
            problem = problem or error
        else:
            count += removed(item)
    return Removal(count, [(of_one, server) for server, of_one in confirmed.items()], unreached, problem)


def _confirmed_by(item: Item, topology: Topology) -> ServerIdentity | None:
    """Which server has executed the commands of an item.

    Raises:
        CacheUnavailableError: None has, or its slot has got another owner since.
        ServerReplyError: It refuses.
    """
    if isinstance(item.reply, CacheUnavailableError):
        raise item.reply
    if item.reply is None or item.confirmation is None:
        raise CacheUnavailableError("Redis did not answer", target=f"slot {item.slot}")
    for reply in item.reply:
        if isinstance(reply, ServerReplyError):
            raise reply
    owner = topology.slots[item.slot] if topology.slots else None
    if not item.asking and (owner is None or owner.node is not item.confirmation.node):
        raise CacheUnavailableError("its owner has changed meanwhile", target=f"slot {item.slot}")
    return item.confirmation.server()
