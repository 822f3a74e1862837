"""The steps of the protocol that keeps stale values out (design, section 8), on one key each.

A load may store its value only while the key still shows the token that it took before it began.
Invalidation removes the key, and the token with it: whatever was being loaded stays unstored.
"""

from __future__ import annotations

from dataclasses import dataclass

from langcache_cli.caching._entry import Entry, Placeholder, new_id, now_ms
from langcache_cli.caching._server import Budget, Server

REJECTED_BYTES = 256
"""How much of an unusable value is enough to recognise it: our headers carry a random id well before."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to store one load under one key."""

    key: str
    token: str


class Store:
    """Reads and writes entries on one server. Every method raises like `Server.call`."""

    def __init__(self, server: Server, *, lease_seconds: float) -> None:
        """Use ``server``; leases last ``lease_seconds`` from their last renewal."""
        self.server = server
        self.lease_seconds = lease_seconds
        self.lease_ms = max(1, round(lease_seconds * 1000))

    async def read(self, key: str, budget: Budget) -> bytes | None:
        """What is stored under ``key``; None for nothing."""
        stored: bytes | None = await self.server.call("GET", key, budget=budget)
        return stored

    async def acquire(self, lease: Lease, budget: Budget, *, rejected: bytes = b"") -> bytes | None:
        """Take the lease if the key is empty or still holds the ``rejected`` value.

        Returns:
            None when taken, else what is stored there.
        """
        found: bytes | None = await self.server.run(
            "acquire", lease.key, *self.taking(lease), rejected[:REJECTED_BYTES], budget=budget
        )
        return found

    async def claim(self, lease: Lease, budget: Budget) -> bool:
        """Take the lease from whoever has it.

        Returns:
            True when there is an entry, which is served until it is replaced.
        """
        taking = self.taking(lease)
        return bool(await self.server.run("claim", lease.key, *taking, lease.token, budget=budget))

    async def renew(self, lease: Lease, budget: Budget) -> bool:
        """Prolong the lease; False when it is lost."""
        return bool(await self.server.run("renew", lease.key, lease.token, self.lease_ms, budget=budget))

    async def commit(self, lease: Lease, entry: Entry, ttl_ms: int, budget: Budget) -> bool:
        """Store the entry if the key still shows the token; False when it was invalidated meanwhile."""
        return bool(
            await self.server.run("commit", lease.key, lease.token, entry.to_bytes(), ttl_ms, budget=budget)
        )

    async def release(self, lease: Lease, budget: Budget) -> None:
        """Give the lease back, if it is still ours."""
        await self.server.run("release", lease.key, lease.token, budget=budget)

    async def invalidate(self, keys: list[str], budget: Budget) -> int:
        """Remove entries, and the right to store any load of them that is under way."""
        removed: int = await self.server.call("UNLINK", *keys, budget=budget)
        return removed

    def taking(self, lease: Lease) -> tuple[bytes, int]:
        """What the scripts that take a lease are given: its placeholder, and how long it lasts."""
        return Placeholder(lease.token, now_ms()).to_bytes(), self.lease_ms


def new_lease(key: str) -> Lease:
    """A lease not taken yet, with a token nobody else has."""
    return Lease(key, new_id())
