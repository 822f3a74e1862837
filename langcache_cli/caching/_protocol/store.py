"""The steps of the protocol that keeps stale values out (design, section 8), on one key each.

A load may store its value only while the key still shows the token that it took before it began.
Invalidation removes the key, and the token with it: whatever was being loaded stays unstored.

A tag is a key that holds a random version. What is stored records the versions of its tags from before
its load began, and is valid while they are the same: removing the tag invalidates all of it at once.
A tag that was evicted does the same, so losing it costs misses and never correctness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from langcache_cli.caching._clock import new_id, new_ids, now_ms
from langcache_cli.caching._protocol.entry import Entry, Placeholder, parse
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.lookup_batch import KEYS_PER_LOOKUP
from langcache_cli.caching._wire.node import Node

ALL_BYTES = -1
"""The index of the last byte of any value."""

REJECTED_BYTES = 256
"""How much of an unusable value is enough to recognise it: our headers carry a random id well before."""


class Lease(NamedTuple):
    """The right to store one load under one key.

    Attributes:
        key: The key.
        token: What the key must still show when the value is stored.
        tags: Versions of the tags, read before the load begins.
    """

    key: str
    token: str
    tags: tuple[str, ...] = ()


class Seen(NamedTuple):
    """What a look-up found.

    Attributes:
        stored: The bytes under the key; None for nothing.
        tags: The versions that its tags had at that moment; None for those that had none.
    """

    stored: bytes | None
    tags: tuple[str | None, ...] = ()

    def parse(self) -> Entry | Placeholder | None:
        """What is there and valid: nothing whose tags have changed since its load began."""
        found = parse(self.stored) if self.stored else None
        return found if found is not None and found.tags == self.tags else None

    @property
    def outdated(self) -> bool:
        """Whether it was valid once, before a tag of it was invalidated."""
        found = parse(self.stored) if self.stored else None
        return found is not None and found.tags != self.tags


class Store:
    """Reads and writes entries on one server. Every method raises like `Node.call`."""

    def __init__(self, node: Node, *, lease_seconds: float, now_ms: Callable[[], int] = now_ms) -> None:
        """Use ``server``; leases last ``lease_seconds`` from their last renewal."""
        self.node = node
        self.now_ms = now_ms
        self.lease_seconds = lease_seconds
        self.lease_ms = max(1, round(lease_seconds * 1000))

    async def read(self, key: str, budget: Budget, *, tags: Sequence[str] = ()) -> Seen:
        """What is stored under ``key``, and the versions of its ``tags`` (keys) at the same moment."""
        found = await self.node.lookup((key, *tags), budget=budget)
        return seen_in(found, tagged=bool(tags))

    async def read_many(self, addresses: Sequence[tuple[str, Sequence[str]]], budget: Budget) -> list[Seen]:
        """`read` for many keys, each with its tags, at once."""
        wanted = tuple(dict.fromkeys(name for key, tags in addresses for name in (key, *tags)))
        look_up = partial(self.node.lookup, budget=budget)
        batches = [wanted[at : at + KEYS_PER_LOOKUP] for at in range(0, len(wanted), KEYS_PER_LOOKUP)]
        found: dict[str, bytes | None] = {}
        for names, values in zip(batches, await asyncio.gather(*map(look_up, batches)), strict=True):
            found.update(zip(names, values if len(names) > 1 else [values], strict=True))
        return [Seen(found[key], tuple(_version(found[tag]) for tag in tags)) for key, tags in addresses]

    async def versions(self, tags: Sequence[str], ttl_ms: int, budget: Budget) -> tuple[str, ...]:
        """The versions of ``tags`` (keys), which get new ones if they have none.

        Args:
            tags: Their keys.
            ttl_ms: How long they must live at least, which is as long as what is about to be stored.
            budget: What this may cost.
        """
        if not tags:
            return ()
        ids, ttls_ms = new_ids(len(tags)), [ttl_ms] * len(tags)
        found = await self.node.run_many("tag", tags, ids, ttls_ms, budget=budget)
        for version in found:
            if isinstance(version, Exception):
                raise version
        return tuple(_text(version) for version in found)

    async def acquire(self, lease: Lease, budget: Budget, *, rejected: bytes = b"") -> bytes | None:
        """Take the lease if the key is empty or still holds the ``rejected`` value.

        Returns:
            None when taken, else what is stored there.
        """
        found: bytes | None = await self.node.run(
            "acquire", lease.key, *self.taking(lease), rejected[:REJECTED_BYTES], ALL_BYTES, budget=budget
        )
        return found

    async def claim(self, lease: Lease, budget: Budget) -> bool:
        """Take the lease from whoever has it.

        Returns:
            True when there is an entry, which is served until it is replaced.
        """
        taking = self.taking(lease)
        return bool(await self.node.run("claim", lease.key, *taking, lease.token, budget=budget))

    async def elect(self, lease: Lease, entry_id: str, budget: Budget) -> bool:
        """Take the lease of an entry that is served meanwhile; False when another call has it."""
        return bool(
            await self.node.run("elect", lease.key, entry_id, lease.token, self.lease_ms, budget=budget)
        )

    async def renew(self, lease: Lease, budget: Budget) -> bool:
        """Prolong the lease; False when it is lost."""
        return bool(await self.node.run("renew", lease.key, lease.token, self.lease_ms, budget=budget))

    async def commit(self, lease: Lease, entry: Entry, ttl_ms: int, budget: Budget) -> bool:
        """Store the entry if the key still shows the token; False when it was invalidated meanwhile."""
        return bool(
            await self.node.run("commit", lease.key, lease.token, entry.to_bytes(), ttl_ms, budget=budget)
        )

    async def release(self, lease: Lease, budget: Budget) -> None:
        """Give the lease back, if it is still ours; an entry that was claimed goes, too."""
        await self.node.run("release", lease.key, lease.token, 1, budget=budget)

    async def invalidate(self, keys: Sequence[str], budget: Budget) -> int:
        """Remove entries, and the right to store any load of them that is under way."""
        removed: int = await self.node.call("UNLINK", *keys, budget=budget)
        return removed

    def taking(self, lease: Lease) -> tuple[bytes, int]:
        """What the scripts that take a lease are given: its placeholder, and how long it lasts."""
        return Placeholder(lease.token, self.now_ms(), lease.tags).to_bytes(), self.lease_ms


def seen_in(found: Any, *, tagged: bool) -> Seen:
    """What the look-up of a key, or of a key and its tags, has found."""
    if not tagged:
        return Seen(found)
    stored, *versions = found
    return Seen(stored, tuple(map(_version, versions)))


def _version(stored: bytes | None) -> str | None:
    return None if stored is None else _text(stored)


def _text(version: bytes) -> str:
    return version.decode("ascii", "replace")


def new_lease(key: str) -> Lease:
    """A lease not taken yet, with a token nobody else has."""
    return Lease(key, new_id())
