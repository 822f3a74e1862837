"""How one call for many items is answered: one look-up, one load of what is missing, and the loads of others.

Whoever takes leases loads before it waits, so that two calls that share items never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._loading.renewal import renewed
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.store import Lease, Seen
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._wire.budget import Budget

if TYPE_CHECKING:
    from langcache_cli.caching._front.cache import Cache

Load = Callable[[Sequence[Any]], Awaitable[list[Any]]]
"""Given items, their values in the same order; an exception for one that has none."""


class ManyCall:
    """One call for many items."""

    def __init__(self, cache: Cache, spec: FunctionSpec, load: Load) -> None:
        self._cache = cache
        self._spec = spec
        self._load = load
        self._addresses: dict[str, EntryKeys] = {}
        self._items: dict[str, Any] = {}
        self._results: dict[str, Any] = {}
        """By key; an exception for what failed."""

    async def answer(self, addresses: Sequence[EntryKeys], items: Sequence[Any]) -> list[Any]:
        """The values of the items."""
        self._addresses = {address.key: address for address in addresses}
        self._items = {address.key: item for address, item in zip(addresses, items, strict=True)}
        keys = list(self._items)
        if not keys:
            return []
        if not self._cache.enabled:
            self._answered(keys, await self._values(keys))
        else:
            await self._answer(keys)
        _raise_any([result for result in self._results.values() if isinstance(result, Exception)], len(keys))
        return [self._results[address.key] for address in addresses]

    async def _answer(self, keys: Sequence[str]) -> None:
        self._spec.resolve()
        self._runtime = self._cache.runtime()
        self._calls = {key: self._call(key) for key in keys}
        self._budget = Budget(self._runtime.node.timeout)
        lifetime, node = self._cache.lifetime(self._spec), self._runtime.node
        self._leases = Leases(self._runtime, self._spec, lifetime, node=node, budget=self._budget)
        started = self._runtime.loop.time()
        seen = await self._look(keys)
        if seen is None:
            await self._unstored(keys, "bypassed")
            return
        seconds = self._runtime.loop.time() - started
        missing = [
            key for key, one in zip(keys, seen, strict=True) if not await self._found(key, one, seconds)
        ]
        uncacheable = {key for key in missing if key in self._runtime.uncacheable}
        await self._load_missing([key for key in missing if key not in uncacheable])
        await self._unstored([key for key in keys if key in uncacheable], "misses")
        await self._wait_for_others([key for key in keys if key not in self._results])

    async def _look(self, keys: Sequence[str]) -> list[Seen] | None:
        """What is stored for each item; None when Redis cannot be used, or not be read_if_allowed yet."""
        addresses = [(key, self._addresses[key].tags) for key in keys]
        store = self._runtime.store
        return await self._runtime.read_if_allowed(lambda: store.read_many(addresses, self._budget))

    async def _found(self, key: str, seen: Seen, seconds: float) -> bool:
        """Whether there is an entry, or the load of another call to wait for later."""
        call = self._calls[key]
        found = call.usable(seen)
        if isinstance(found, Placeholder):
            return True
        decoded = self._spec.decode(found) if found is not None else None
        if found is None or decoded is None:
            return False
        call.count_hit(found, seconds)
        self._results[key] = await renewed(call.load, found, decoded[0])
        return True

    async def _load_missing(self, keys: Sequence[str]) -> None:
        """Load what nobody else is loading, in one call of the function; leaves the rest unanswered."""
        if not keys:
            return
        try:
            leases = await self._leases.of([(key, *self._addresses[key].tags) for key in keys])
        except CacheError:
            await self._unstored(keys, "bypassed")
            return
        flight = self._runtime.running_loads.start_many(
            leases, self._if_vacant(leases), ends_with_starter=self._spec.takes_session
        )
        for key, landing in zip(keys, await flight.result(), strict=True):
            if isinstance(landing, Exception):
                self._results[key] = landing
            elif landing.found is None:
                self._results[key] = landing.value

    async def _if_vacant(self, leases: Sequence[Lease]) -> list[LoadResult | Exception]:
        """Take the leases that nobody has; load and store under those."""
        try:
            taken = await self._leases.acquire(leases)
        except CacheError:
            self._leases.release_soon(leases)  # it may have heard us all the same
            keys = [lease.key for lease in leases]
            self._count(keys, "bypassed")
            return [_landed(value) for value in await self._counted_values(keys)]
        except asyncio.CancelledError:
            self._leases.release_soon(leases)  # the server may have heard us
            raise
        ours = [lease for lease, is_ours in zip(leases, taken, strict=True) if is_ours]
        landings = dict(zip((lease.key for lease in ours), await self._load_and_store(ours), strict=True))
        return [landings.get(lease.key, LoadResult(found=b"")) for lease in leases]

    async def _load_and_store(self, leases: Sequence[Lease]) -> list[LoadResult | Exception]:
        if not leases:
            return []
        keys = [lease.key for lease in leases]
        self._count(keys, "misses")
        started = self._runtime.loop.time()
        try:
            async with self._leases.kept(leases):
                values = await self._counted_values(keys)
            seconds_each = (self._runtime.loop.time() - started) / len(leases)
            landings = [
                self._landing(lease, value, seconds_each) for lease, value in zip(leases, values, strict=True)
            ]
            return await self._stored(leases, landings)
        except BaseException:
            self._leases.release_soon(leases)
            raise

    def _landing(self, lease: Lease, value: Any, load_seconds: float) -> LoadResult | Exception:
        if isinstance(value, Exception):
            return value
        entry = self._leases.entry(lease, value, load_seconds=load_seconds)
        if entry is None:
            self._calls[lease.key].load.uncacheable()
        return LoadResult(value, entry)

    async def _stored(
        self, leases: Sequence[Lease], landings: Sequence[LoadResult | Exception]
    ) -> list[LoadResult | Exception]:
        """Store what can be stored; what an invalidation has refused gives way to what came after it."""
        final = dict(zip((lease.key for lease in leases), landings, strict=True))
        entries = [
            (lease, landing.entry)
            for lease, landing in zip(leases, landings, strict=True)
            if isinstance(landing, LoadResult) and landing.entry is not None
        ]
        kept = {lease.key for lease, _ in entries}
        self._leases.release_soon([lease for lease in leases if lease.key not in kept])
        try:
            replies = await self._leases.commit(entries)
        except CacheError:
            replies = [None] * len(entries)
            self._leases.release_soon([lease for lease, _ in entries])
        for (lease, entry), reply in zip(entries, replies, strict=True):
            final[lease.key] = await self._after_commit(lease.key, final[lease.key], entry, reply)
        return list(final.values())

    async def _after_commit(
        self, key: str, landing: LoadResult | Exception, entry: Entry, reply: Any
    ) -> LoadResult | Exception:
        load = self._calls[key].load
        if reply == 1:
            load.count("bytes_written", len(entry.payload))
        elif reply == 0 and isinstance(landing, LoadResult):
            load.count("refused")
            with contextlib.suppress(CacheError):
                return await load.superseded(landing)
        else:
            load.count("unstored")
        return landing

    async def _wait_for_others(self, keys: Sequence[str]) -> None:
        """Answer what other calls are loading, as a call for one item would be."""
        calls = [self._calls[key] for key in keys]
        if self._spec.takes_session:  # which does one thing at a time, should a call have to load after all
            results = [await _caught(call) for call in calls]
        else:
            results = await asyncio.gather(*map(_caught, calls))
        self._answered(keys, results)

    async def _unstored(self, keys: Sequence[str], counter: str) -> None:
        """Answer from the function, without the right to store anything."""
        if keys:
            self._count(keys, counter)
            self._answered(keys, await self._counted_values(keys))

    def _call(self, key: str) -> Call:
        async def alone() -> Any:
            (value,) = await self._values([key])
            if isinstance(value, Exception):
                raise value
            return value

        return self._cache.call(self._spec, self._addresses[key], alone)

    async def _values(self, keys: Sequence[str]) -> list[Any]:
        return await self._load([self._items[key] for key in keys])

    async def _counted_values(self, keys: Sequence[str]) -> list[Any]:
        """The values from the function, whose run is counted and timed once."""
        load = self._cache.call(
            self._spec, self._addresses[keys[0]], functools.partial(self._values, keys)
        ).load
        values: list[Any] = await load.run()
        return values

    def _answered(self, keys: Sequence[str], results: Sequence[Any]) -> None:
        self._results.update(zip(keys, results, strict=True))

    def _count(self, keys: Sequence[str], counter: str) -> None:
        for key in keys:
            self._calls[key].load.count(counter)


def _landed(value: Any) -> LoadResult | Exception:
    return value if isinstance(value, Exception) else LoadResult(value)


async def _caught(call: Call) -> Any:
    try:
        return await call.answer()
    except Exception as error:  # noqa: BLE001 - raised when all items have been answered
        return error


def _raise_any(errors: Sequence[Exception], of: int) -> None:
    if len(errors) > 1:
        raise ExceptionGroup(f"{len(errors)} of {of} items failed", errors)
    for error in errors:
        raise error
