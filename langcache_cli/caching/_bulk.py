"""Filling the cache ahead of its readers, under the same leases as a miss.

The leases are taken before the values are read from the database, so an invalidation at any
moment of a warm wins: what was read before it is not stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._cache import Cache
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._function import CachedFunction
from langcache_cli.caching._leases import Leases
from langcache_cli.caching._spec import Address
from langcache_cli.caching._store import Lease
from langcache_cli.caching._warmers import Arguments, Load


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
    load: Load,
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
        ServerReplyError: Redis refuses to store anything.
        Exception: Whatever ``load`` raises; the leases taken for it are given back.
    """
    return await _Warm(cache, function, load, missing_only=missing_only).run(calls)


class _Warm:
    def __init__(
        self,
        cache: Cache,
        function: CachedFunction[Any, Any],
        load: Load,
        *,
        missing_only: bool,
    ) -> None:
        self.cache = cache
        self.function = function
        self.load = load
        self.missing_only = missing_only
        self.runtime = cache.runtime()
        lifetime = cache.lifetime(function.spec)
        self.leases = Leases(self.runtime, function.spec, lifetime, server=self.runtime.bulk)
        self.vacant: list[Lease] = []
        """Leases of keys under which there was nothing: others wait for them."""

    async def run(self, calls: Sequence[Arguments]) -> WarmCounts:
        leases = await self.leases.of(self._addresses(calls))
        taken = await self._take(leases)
        skipped = taken.count(False)
        leased = [pair for pair, ours in zip(zip(calls, leases, strict=True), taken, strict=True) if ours]
        if not leased:
            return WarmCounts(skipped=skipped)
        started = self.runtime.loop.time()
        try:
            async with self.leases.kept([lease for _, lease in leased]):
                values = await self.load([arguments for arguments, _ in leased])
        except BaseException:
            self.leases.release_soon(self.vacant)
            raise
        pairs = [(lease, value) for (_, lease), value in zip(leased, values, strict=True)]
        seconds_each = (self.runtime.loop.time() - started) / len(leased)
        return await self._commit(pairs, seconds_each) + WarmCounts(read=len(pairs), skipped=skipped)

    def _addresses(self, calls: Sequence[Arguments]) -> list[Address]:
        spec, namespace = self.function.spec, self.cache.settings.namespace
        names_of = spec.compiled_names(namespace)
        try:
            names = [names_of(**arguments) for arguments in calls]
        except TypeError:
            names = [spec.names(namespace, **arguments) for arguments in calls]  # says what is wrong
        return [Address(each[0], each[1:]) for each in names]

    async def _take(self, leases: Sequence[Lease]) -> list[bool]:
        if self.missing_only:
            taken = await self.leases.acquire(leases)
            self.vacant = list(itertools.compress(leases, taken))
            return taken
        served = await self.leases.claim(leases)
        self.vacant = [lease for lease, is_served in zip(leases, served, strict=True) if not is_served]
        return [True] * len(leases)

    async def _commit(self, pairs: Sequence[tuple[Lease, Any]], load_seconds: float) -> WarmCounts:
        leases = [lease for lease, _ in pairs]
        entries = self.leases.entries(leases, [value for _, value in pairs], load_seconds=load_seconds)
        storable = [
            (lease, entry) for (lease, _), entry in zip(pairs, entries, strict=True) if entry is not None
        ]
        failed = [lease for (lease, _), entry in zip(pairs, entries, strict=True) if entry is None]
        self.leases.release_soon(failed)
        replies = await self.leases.commit(storable)
        errors = [reply for reply in replies if isinstance(reply, ServerReplyError)]
        if errors:
            self.leases.release_soon([lease for lease, _ in storable])  # does nothing to what was stored
        if errors and len(errors) == len(replies):
            raise errors[0]
        refused = [lease.key for (lease, _), reply in zip(storable, replies, strict=True) if reply == 0]
        if refused and not self.missing_only:
            # Another refresh may have claimed the old entries after us: they must not outlive this warm.
            await self.cache.invalidate_keys(refused)
        return WarmCounts(
            written=sum(reply == 1 for reply in replies),
            refused=sum(reply == 0 for reply in replies),
            failed=len(failed) + len(errors),
        )
