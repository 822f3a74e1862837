"""How one call for many items is answered: one look-up, one load of what is missing, then other loads.

A call loads under its own leases before it waits for those of other calls, so two calls that share items
never wait for each other.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._functions.spec import EntryKeys
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._loading.load_many import LoadMany
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._loading.refresh import value_or_refreshed
from langcache_cli.caching._protocol.entry import Placeholder
from langcache_cli.caching._protocol.store import Seen
from langcache_cli.caching._single_flight.nesting import is_inside
from langcache_cli.caching._wire.budget import Budget

ItemsLoader = Callable[[Sequence[Any]], Awaitable[list[Any]]]
"""Loads the values of some items, in the same order; an exception for an item that has none."""


class CallMany:
    """One call for many items."""

    def __init__(
        self,
        reader: Reader | None,
        load: ItemsLoader,
        addresses: Sequence[EntryKeys],
        items: Sequence[Any],
    ) -> None:
        """Prepare.

        Args:
            reader: Of the function for a single item; None while the cache is disabled.
            load: Loads the values of items.
            addresses: Where the value of each item is stored.
            items: The items.
        """
        self._load = load
        self._addresses = {address.key: address for address in addresses}
        self._items = {address.key: item for address, item in zip(addresses, items, strict=True)}
        self._order = [address.key for address in addresses]
        self._results: dict[str, Any] = {}
        """By key; an exception for an item that failed."""
        self._reader = reader

    async def answer(self) -> list[Any]:
        """The values of the items, in their order.

        Raises:
            Exception: What the function raised or returned for an item; an `ExceptionGroup` of several.
        """
        keys = list(self._items)
        if not keys:
            return []
        if self._reader is None:
            self._set_results(keys, await self._values(keys))
        else:
            await self._answer(self._reader, keys)
        _raise_any([result for result in self._results.values() if isinstance(result, Exception)], len(keys))
        return [self._results[key] for key in self._order]

    async def _answer(self, reader: Reader, keys: Sequence[str]) -> None:
        self._runtime, self._spec = reader.runtime, reader.spec
        self._calls = {key: reader.call(self._addresses[key], self._alone(key)) for key in keys}
        self._budget = Budget(self._runtime.node.timeout)
        started = self._runtime.loop.time()
        seen = await self._look_up(keys)
        if seen is None:
            await self._run_unstored(reader, keys, "bypassed")
            return
        seconds = self._runtime.loop.time() - started
        missing = [
            key for key, one in zip(keys, seen, strict=True) if not await self._found(key, one, seconds)
        ]
        uncacheable = {key for key in missing if key in self._runtime.uncacheable}
        await self._load_missing(reader, [key for key in missing if key not in uncacheable])
        await self._run_unstored(reader, [key for key in keys if key in uncacheable], "misses")
        await self._wait_for_others([key for key in keys if key not in self._results])

    async def _look_up(self, keys: Sequence[str]) -> list[Seen] | None:
        """Look up every item; None if Redis cannot be used, or may not be read yet."""
        addresses = [(key, self._addresses[key].tags) for key in keys]
        store = self._runtime.store
        return await self._runtime.read_if_allowed(lambda: store.look_up_many(addresses, self._budget))

    async def _found(self, key: str, seen: Seen, seconds: float) -> bool:
        """True if there is an entry, or the load of another call to wait for later."""
        call = self._calls[key]
        found = call.usable(seen)
        if isinstance(found, Placeholder) or (found is not None and is_inside(found.id)):
            return True
        decoded = await call.load.decoded(found) if found is not None else None
        if found is None or decoded is None:
            return False
        call.count_answered(found, seconds)
        due = call.draw_refresh(found)
        self._results[key] = await value_or_refreshed(call.load, found, decoded[0], due=due)
        return True

    async def _load_missing(self, reader: Reader, keys: Sequence[str]) -> None:
        """Load what no other call is loading, in one call of the function; the rest gets no result."""
        if not keys:
            return
        leases = Leases(
            self._runtime, self._spec, reader.lifetime, store=self._runtime.store, budget=self._budget
        )
        try:
            prepared = await leases.prepare([(key, *self._addresses[key].tags) for key in keys])
        except CacheError:
            await self._run_unstored(reader, keys, "bypassed")
            return
        loads = {key: call.load for key, call in self._calls.items()}
        load = LoadMany(leases, loads, functools.partial(self._counted_values, reader))
        flight = self._runtime.running_loads.start_many(prepared, functools.partial(load.run, prepared))
        for key, result in zip(keys, await flight.run(), strict=True):
            if isinstance(result, Exception):
                self._results[key] = result
            elif result.found is None:
                self._results[key] = result.value

    async def _wait_for_others(self, keys: Sequence[str]) -> None:
        """Answer what other calls are loading, as calls for single items would be answered."""
        calls = [self._calls[key] for key in keys]
        if self._spec.takes_session:  # one at a time: each may have to load after all, with the one session
            results = [await _caught(call) for call in calls]
        else:
            results = await asyncio.gather(*map(_caught, calls))
        self._set_results(keys, results)

    async def _run_unstored(self, reader: Reader, keys: Sequence[str], counter: str) -> None:
        """Answer from the function, without the right to store anything."""
        if keys:
            for key in keys:
                self._calls[key].load.count(counter)
            self._set_results(keys, await self._counted_values(reader, keys))

    def _alone(self, key: str) -> Callable[[], Awaitable[Any]]:
        """Runs the function for a single item."""

        async def alone() -> Any:
            (value,) = await self._values([key])
            if isinstance(value, Exception):
                raise value
            return value

        return alone

    async def _values(self, keys: Sequence[str]) -> list[Any]:
        return await self._load([self._items[key] for key in keys])

    async def _counted_values(self, reader: Reader, keys: Sequence[str]) -> list[Any]:
        """The values from the function, whose run is counted and timed once."""
        load = reader.call(self._addresses[keys[0]], functools.partial(self._values, keys)).load
        values: list[Any] = await load.run()
        return values

    def _set_results(self, keys: Sequence[str], results: Sequence[Any]) -> None:
        self._results.update(zip(keys, results, strict=True))


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
