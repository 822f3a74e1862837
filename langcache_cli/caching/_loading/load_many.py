"""One load of many entries: under the leases that no other load has, in one call of the function."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.store import Lease
from langcache_cli.caching._single_flight.flight import LoadResult

Values = Callable[[Sequence[str]], Awaitable[list[Any]]]
"""Runs the function for some keys; an exception in the place of a value that could not be loaded."""


class LoadMany:
    """Loads and stores the values of keys that hold nothing usable."""

    def __init__(self, leases: Leases, loads: Mapping[str, Load], values: Values) -> None:
        """Prepare.

        Args:
            leases: Takes and gives back leases.
            loads: The single load of each key: what to count under, and what to do with a refused value.
            values: Runs the function.
        """
        self._leases = leases
        self._loads = loads
        self._values = values

    async def run(self, leases: Sequence[Lease]) -> list[LoadResult | Exception]:
        """Take the leases that no other load has; load and store under those.

        Returns:
            One result for each lease; ``found`` is set where another load has it.
        """
        try:
            taken = await self._leases.acquire(leases)
        except CacheError:
            self._leases.release_soon(leases)  # Outcome unknown: Redis may have given them.
            for lease in leases:
                self._loads[lease.key].count("bypassed")
            return await self._values_of(leases)
        except asyncio.CancelledError:
            self._leases.release_soon(leases)
            raise
        ours = [lease for lease, is_ours in zip(leases, taken, strict=True) if is_ours]
        results = dict(zip((lease.key for lease in ours), await self._load_and_store(ours), strict=True))
        return [results.get(lease.key, LoadResult(found=b"")) for lease in leases]

    async def _load_and_store(self, leases: Sequence[Lease]) -> list[LoadResult | Exception]:
        if not leases:
            return []
        for lease in leases:
            self._loads[lease.key].count("misses")
        try:
            with self._leases.renewing(leases):
                results = await self._values_of(leases)
        except Exception as error:
            await self._fail(leases, [error] * len(leases))
            raise
        except BaseException:  # cancelled: nobody loads under these leases
            self._leases.release_soon(leases)
            raise
        try:
            return await self._stored(leases, results)
        except BaseException:  # cancelled: unknown which values were stored
            self._leases.release_soon(leases)
            raise

    async def _fail(self, leases: Sequence[Lease], errors: Sequence[Exception | None]) -> None:
        """Give leases back before the errors are raised: a call that begins after that must load anew."""
        try:
            await self._leases.fail(leases, errors)
        except CacheError:
            self._leases.release_soon(leases)  # perhaps only the time of this call was spent
        except asyncio.CancelledError:
            self._leases.release_soon(leases)
            raise

    async def _values_of(self, leases: Sequence[Lease]) -> list[LoadResult | Exception]:
        """Run the function, and encode its values for those who have joined."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        values = await self._values([lease.key for lease in leases])
        seconds_each = (loop.time() - started) / len(leases)
        return [
            self._encoded(lease, value, seconds_each) for lease, value in zip(leases, values, strict=True)
        ]

    def _encoded(self, lease: Lease, value: Any, load_seconds: float) -> LoadResult | Exception:
        if isinstance(value, Exception):
            return value
        entry = self._leases.entry(lease, value, load_seconds=load_seconds)
        if entry is None:
            self._loads[lease.key].count_uncacheable()
        return LoadResult(value, entry)

    async def _stored(
        self, leases: Sequence[Lease], results: Sequence[LoadResult | Exception]
    ) -> list[LoadResult | Exception]:
        """Store what can be stored; a value refused by an invalidation gives way to a newer one."""
        final = dict(zip((lease.key for lease in leases), results, strict=True))
        entries = [
            (lease, result.entry)
            for lease, result in zip(leases, results, strict=True)
            if isinstance(result, LoadResult) and result.entry is not None
        ]
        kept = {lease.key for lease, _ in entries}
        lost = [lease for lease in leases if lease.key not in kept]
        errors = [final[lease.key] for lease in lost]
        await self._fail(lost, [error if isinstance(error, Exception) else None for error in errors])
        try:
            replies = await self._leases.commit(entries)
        except CacheError:
            replies = [None] * len(entries)
            self._leases.release_soon([lease for lease, _ in entries])
        for (lease, entry), reply in zip(entries, replies, strict=True):
            final[lease.key] = await self._after_commit(lease.key, final[lease.key], entry, reply)
        return list(final.values())

    async def _after_commit(
        self, key: str, result: LoadResult | Exception, entry: Entry, reply: Any
    ) -> LoadResult | Exception:
        load = self._loads[key]
        if reply == 1:
            load.count("bytes_written", len(entry.payload))
        elif reply == 0 and isinstance(result, LoadResult):
            load.count("refused")
            with contextlib.suppress(CacheError):
                return await load.value_of_successor(result)
        else:
            load.count("unstored")
        return result
