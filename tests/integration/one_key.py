"""The steps of the protocol for a single key, as most tests want them: one lease in, one result out."""

from typing import Any

from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.results import raise_errors
from langcache_cli.caching._protocol.store import Seen, Store
from langcache_cli.caching._wire.budget import Budget


class OneKey:
    """A `Store` whose steps take one lease."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def look_up(self, key: str, budget: Budget, *, tags: tuple[str, ...] = ()) -> Seen:
        return await self.store.look_up(key, budget, tag_keys=tags)

    async def tag_versions(self, tags: list[str], ttl_ms: int, budget: Budget) -> tuple[str, ...]:
        return await self.store.tag_versions(tags, ttl_ms, budget)

    async def acquire(self, lease: Lease, budget: Budget, *, rejected: bytes = b"") -> bytes | None:
        return _only(await self.store.acquire([lease], budget, rejected=[rejected]))

    async def claim(self, lease: Lease, budget: Budget) -> bool:
        return bool(_only(await self.store.claim([lease], budget)))

    async def elect(self, lease: Lease, entry_id: str, budget: Budget) -> bool:
        return bool(_only(await self.store.elect([lease], [entry_id], budget)))

    async def renew(self, lease: Lease, budget: Budget) -> bool:
        return bool(_only(await self.store.renew([lease], budget)))

    async def commit(self, lease: Lease, entry: Entry, ttl_ms: int, budget: Budget) -> bool:
        return bool(_only(await self.store.commit([lease], [entry.to_bytes()], [ttl_ms], budget)))

    async def release(self, lease: Lease, budget: Budget) -> None:
        _only(await self.store.release([lease], budget))

    async def withdraw(self, lease: Lease, budget: Budget) -> int:
        return _only(await self.store.withdraw([lease], budget))

    async def invalidate(self, keys: list[str], budget: Budget) -> int:
        return await self.store.invalidate(keys, budget)


def _only(replies: list[Any]) -> Any:
    (reply,) = raise_errors(replies)
    return reply
