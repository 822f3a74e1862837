"""Filling the cache ahead of its readers, under the same leases as a miss.

The leases are taken before the values are read from the database, so an invalidation at any
moment of a warm wins: what was read before it is not stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._functions.warmer import Arguments, BatchLoader
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.leases import NOT_KEPT, Leases
from langcache_cli.caching._protocol.lease import Lease


@dataclass(frozen=True, slots=True)
class WarmCounts:
    """What became of the calls to warm.

    Attributes:
        read: Values that were loaded.
        written: Entries that were stored.
        skipped: Calls left alone, because an entry or the load of another call was there, and values that
            must not be stored, as ``ttl=`` or ``max_bytes=`` of the function say.
        refused: Values not stored, because of an invalidation meanwhile. Nothing is wrong.
        failed: Values that cannot be cached, or that Redis would not take, and calls that were not loaded
            because their node of a cluster, or that of a tag, is away.
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
    load: BatchLoader,
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
        CacheUnavailableError: Redis went away, or all nodes concerned; what was stored stays.
        ServerReplyError: Redis refuses to store anything.
        Exception: Whatever ``load`` raises; the leases taken for it are given back.
    """
    return await _Warm(cache, function, load, missing_only=missing_only).run(calls)


class _Warm:
    def __init__(
        self,
        cache: Cache,
        function: CachedFunction[Any, Any],
        load: BatchLoader,
        *,
        missing_only: bool,
    ) -> None:
        self.cache = cache
        self.function = function
        self.load = load
        self.missing_only = missing_only
        self.runtime = cache.runtime()
        lifetime = cache.lifetime(function.spec)
        self.leases = Leases(self.runtime, function.spec, lifetime, store=self.runtime.bulk_store)

    async def run(self, calls: Sequence[Arguments]) -> WarmCounts:
        prepared = await self.leases.prepare(self._keys(calls))
        leases, skipped = [lease for lease in prepared if lease is not None], 0
        if len(leases) < len(prepared):
            calls = list(compress(calls, prepared))
        failed = len(prepared) - len(leases)
        try:
            taken: Sequence[bool | None]
            if self.missing_only:
                taken = await self.leases.acquire(leases)
                skipped = taken.count(False)
                away = [lease for lease, is_ours in zip(leases, taken, strict=True) if is_ours is None]
            else:
                taken = await self.leases.claim(leases)
                away = [lease for lease, is_ours in zip(leases, taken, strict=True) if not is_ours]
            self.leases.release_soon(away, entries_too=False)  # Outcome unknown, as below.
            calls, leases = list(compress(calls, taken)), list(compress(leases, taken))
            filled = await self._filled(leases, calls) if leases else WarmCounts()
            return filled + WarmCounts(skipped=skipped, failed=failed + len(away))
        except BaseException:  # cancelled, too: no load runs under these leases any more
            # Outcome unknown: Redis may have given the leases. Claimed entries go on being served.
            self.leases.release_soon(leases, entries_too=False)
            raise

    async def _filled(self, leases: Sequence[Lease], calls: Sequence[Arguments]) -> WarmCounts:
        """Load and store under leases that were taken."""
        started = self.runtime.loop.time()
        with self.leases.renewing(leases):
            values = await self.load(calls)
            if len(values) != len(calls):
                raise ValueError(
                    f"the load of {self.function!r} returned {len(values)} values for {len(calls)} calls"
                )
            seconds_each = (self.runtime.loop.time() - started) / len(leases)
            return await self._store(leases, values, seconds_each) + WarmCounts(read=len(leases))

    def _keys(self, calls: Sequence[Arguments]) -> list[KeyAndTags]:
        spec, namespace = self.function.spec, self.cache.settings.namespace
        keys_of = spec.compiled_keys(namespace)
        try:
            return [keys_of(**arguments) for arguments in calls]
        except TypeError:
            return [spec.key_and_tags(namespace, **arguments) for arguments in calls]  # says what is wrong

    async def _store(self, leases: Sequence[Lease], values: Sequence[Any], load_seconds: float) -> WarmCounts:
        replies = await self.leases.store(leases, values, load_seconds)
        written = replies.count(1)
        if written == len(leases):
            return WarmCounts(written=written)
        failed = [
            lease
            for lease, reply in zip(leases, replies, strict=True)
            if reply is None or isinstance(reply, CacheError)
        ]
        not_kept = [lease for lease, reply in zip(leases, replies, strict=True) if reply is NOT_KEPT]
        self.leases.release_soon([*failed, *not_kept])  # the entries that they replace are removed
        errors = [reply for reply in replies if isinstance(reply, CacheError)]
        if errors and len(errors) == len(replies) - replies.count(None) - len(not_kept):
            raise errors[0]
        refused = [lease for lease, reply in zip(leases, replies, strict=True) if reply == 0]
        if not self.missing_only:
            # Another refresh may have claimed the old entries after us: they must not outlive this warm.
            await self.leases.withdraw(refused)
        return WarmCounts(written=written, skipped=len(not_kept), refused=len(refused), failed=len(failed))
