"""Filling the cache ahead of its readers, under the same leases as a miss.

The leases are taken before the values are read from the database, so an invalidation at any
moment of a warm wins: what was read before it is not stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._cache import Cache
from langcache_cli.caching._codec import UncacheableValueError
from langcache_cli.caching._entry import Entry, Placeholder, new_id
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._function import CachedFunction
from langcache_cli.caching._loads import new_entry
from langcache_cli.caching._runtime import RENEWALS_PER_LEASE, Runtime
from langcache_cli.caching._server import Budget
from langcache_cli.caching._spec import Address
from langcache_cli.caching._store import REJECTED_BYTES, Lease, Seen, Store

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WarmCounts:
    """What became of the calls that were to be warmed.

    Attributes:
        read: Values that were loaded.
        written: Entries that were stored.
        skipped: Calls left alone, because an entry or somebody else's load was there.
        refused: Values not stored, because of an invalidation meanwhile. Nothing is wrong.
        failed: Values that cannot be cached, or that Redis would not take.
    """

    read: int = 0
    written: int = 0
    skipped: int = 0
    refused: int = 0
    failed: int = 0

    def __add__(self, other: WarmCounts) -> WarmCounts:
        return WarmCounts(
            self.read + other.read,
            self.written + other.written,
            self.skipped + other.skipped,
            self.refused + other.refused,
            self.failed + other.failed,
        )


async def warm(
    cache: Cache,
    function: CachedFunction[Any, Any],
    calls: Sequence[Arguments],
    load: Callable[[Sequence[Arguments]], Awaitable[Sequence[Any]]],
    *,
    missing_only: bool = False,
) -> WarmCounts:
    """Store the values of ``calls`` as misses would.

    Args:
        cache: Where to.
        function: The cached function.
        calls: Arguments of the calls; those that are not part of the key may be left out.
        load: Given the calls to load, reads their values, in the same order. It must begin to read
            only when it is called.
        missing_only: Leave calls alone that have an entry; otherwise entries are replaced, and
            served until then.

    Raises:
        CacheUnavailableError: Redis went away; what was stored stays.
        Exception: Whatever ``load`` raises; the leases taken for it are given back.
    """
    return await _Warm(cache, function, load, missing_only=missing_only).run(calls)


class _Warm:
    def __init__(
        self,
        cache: Cache,
        function: CachedFunction[Any, Any],
        load: Callable[[Sequence[Arguments]], Awaitable[Sequence[Any]]],
        *,
        missing_only: bool,
    ) -> None:
        self.cache = cache
        self.function = function
        self.load = load
        self.missing_only = missing_only
        self.runtime: Runtime = cache.runtime()
        self.store = self.runtime.store
        self.lifetime = cache.lifetime(function.spec)

    async def run(self, calls: Sequence[Arguments]) -> WarmCounts:
        leases = await self._leases([self.function.address(**arguments) for arguments in calls])
        taken = await (self._acquire(leases) if self.missing_only else self._claim(leases))
        skipped = taken.count(False)
        leased = [pair for pair, ours in zip(zip(calls, leases, strict=True), taken, strict=True) if ours]
        if not leased:
            return WarmCounts(skipped=skipped)
        started = self.runtime.loop.time()
        try:
            async with self._kept([lease for _, lease in leased]):
                values = await self.load([arguments for arguments, _ in leased])
        except BaseException:
            if self.missing_only:
                self._release_soon([lease for _, lease in leased])
            raise
        pairs = [(lease, value) for (_, lease), value in zip(leased, values, strict=True)]
        seconds_each = (self.runtime.loop.time() - started) / len(leased)
        return await self._commit(pairs, seconds_each) + WarmCounts(read=len(pairs), skipped=skipped)

    async def _leases(self, addresses: Sequence[Address]) -> list[Lease]:
        """Leases with the versions of their tags, as they are before anything is loaded."""
        tags = list(dict.fromkeys(tag for address in addresses for tag in address.tags))
        ttl_ms = self.lifetime.longest_ms + self.runtime.longest_load_ms
        bulk = Store(self.runtime.bulk, lease_seconds=self.store.lease_seconds)
        versions = dict(
            zip(tags, await bulk.versions(tags, ttl_ms, Budget(bulk.server.timeout)), strict=True)
        )
        return [
            Lease(address.key, new_id(), tuple(versions[tag] for tag in address.tags))
            for address in addresses
        ]

    async def _claim(self, leases: Sequence[Lease]) -> list[bool]:
        """Take every lease, whoever has it."""
        replies = await self._run(
            "claim", [(lease, *self.store.taking(lease), lease.token) for lease in leases]
        )
        return [_require(reply) is not None for reply in replies]

    async def _acquire(self, leases: Sequence[Lease]) -> list[bool]:
        """Take the leases of keys that hold nothing usable."""
        found = await self._run("acquire", [(lease, *self.store.taking(lease), b"") for lease in leases])
        unusable = {
            index: bytes(_require(stored)[:REJECTED_BYTES])
            for index, stored in enumerate(found)
            if _require(stored) is not None and not self._usable(Seen(stored, leases[index].tags))
        }
        again = [(leases[index], *self.store.taking(leases[index]), head) for index, head in unusable.items()]
        for index, reply in zip(unusable, await self._run("acquire", again), strict=True):
            found[index] = _require(reply)
        return [reply is None for reply in found]

    def _usable(self, seen: Seen) -> bool:
        entry = seen.parse()
        return isinstance(entry, Placeholder) or (
            isinstance(entry, Entry) and entry.schema == self.function.spec.codec.fingerprint
        )

    async def _commit(self, pairs: Sequence[tuple[Lease, Any]], load_seconds: float) -> WarmCounts:
        spec, lifetime = self.function.spec, self.lifetime
        storable: list[tuple[Any, ...]] = []
        failed: list[Lease] = []
        for lease, value in pairs:
            try:
                entry = new_entry(
                    spec.codec,
                    value,
                    lifetime=lifetime,
                    load_seconds=load_seconds,
                    now_ms=self.runtime.now_ms(),
                    tags=lease.tags,
                )
            except UncacheableValueError as error:
                spec.warn_uncacheable(error)
                failed.append(lease)
            else:
                storable.append((lease, lease.token, entry.to_bytes(), lifetime.kept_ms(entry)))
        self._release_soon(failed)
        replies = await self._run("commit", storable)
        refused = [call[0].key for call, reply in zip(storable, replies, strict=True) if reply == 0]
        if refused and not self.missing_only:
            # Another refresh may have claimed the old entries after us: they must not outlive this warm.
            await self.cache.invalidate_keys(refused)
        return WarmCounts(
            written=sum(reply == 1 for reply in replies),
            refused=sum(reply == 0 for reply in replies),
            failed=len(failed) + sum(isinstance(reply, ServerReplyError) for reply in replies),
        )

    @contextlib.asynccontextmanager
    async def _kept(self, leases: Sequence[Lease]) -> AsyncIterator[None]:
        """Renew the leases while the database is being read."""
        renewals = self.runtime.loop.create_task(self._renew(leases), name="langcache-warm-renewals")
        try:
            yield
        finally:
            renewals.cancel()
            await asyncio.wait([renewals])

    async def _renew(self, leases: Sequence[Lease]) -> None:
        while True:
            await asyncio.sleep(self.cache.settings.lease_seconds / RENEWALS_PER_LEASE)
            with contextlib.suppress(CacheError):
                await self._run("renew", [(lease, lease.token, self.store.lease_ms) for lease in leases])

    def _release_soon(self, leases: Sequence[Lease]) -> None:
        if leases:
            self.runtime.spawn(self._run("release", [(lease, lease.token) for lease in leases]))

    async def _run(self, name: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run a script once per lease, in one round trip."""
        if not calls:
            return []
        return await self.runtime.bulk.run_many(
            name, [(lease.key, *arguments) for lease, *arguments in calls]
        )


def _require(reply: Any) -> Any:
    """The reply, unless it says that leases cannot be had at all: a read-only or full server."""
    if isinstance(reply, ServerReplyError):
        raise reply
    return reply
