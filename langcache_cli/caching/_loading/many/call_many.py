"""How one call for many items is answered: one look-up, one load of what is missing, then other loads.

A call loads under its own leases before it waits for those of other calls, so two calls that share items
never wait for each other. Objects for single items are made only for those that the look-up has not answered.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langcache_cli.caching._functions.spec import EntryKeys
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.hit_counter import count_for_each
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._loading.load import Load, Origin
from langcache_cli.caching._loading.many.load_many import Absent, LoadMany
from langcache_cli.caching._loading.many.read_many import Read, read_many
from langcache_cli.caching._loading.many.refresh_many import Due, refresh_many, replace_many
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.failure import parse_failure
from langcache_cli.caching._protocol.lease import new_leases
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._single_flight.nesting import is_inside
from langcache_cli.caching._wire.budget import Budget

ItemsLoader = Callable[[Sequence[Any]], Awaitable[list[Any]]]
"""Loads the values of some items, in the same order; an exception for an item that has none."""


class CallMany:
    """One call for many items."""

    def __init__(
        self,
        load: ItemsLoader,
        keys: Sequence[str],
        tag_keys: Sequence[tuple[str, ...]] | None,
        items: Sequence[Any],
        *,
        takes_session: bool = False,
    ) -> None:
        """Prepare.

        Args:
            load: Loads the values of items.
            keys: The key of the value of each item; items that are asked for twice have it twice.
            tag_keys: Of the tags of each; None for a function without tags.
            items: The items.
            takes_session: The function uses its caller's database session, which ends with the call.
        """
        self._load = load
        self._takes_session = takes_session
        self._order = keys
        self._items = dict(zip(keys, items, strict=True))
        self._keys = keys if len(self._items) == len(keys) else list(self._items)
        """Each key once."""
        self._tag_keys = dict(zip(keys, tag_keys, strict=True)) if tag_keys is not None else None
        self._results: dict[str, Any] = {}
        """By key; an exception for an item that failed."""

    async def answer(self, reader: Reader | None, *, anew: bool = False) -> list[Any]:
        """The values of the items, in their order.

        Args:
            reader: Of the function for a single item; None to go past the cache.
            anew: Load all of them, and replace what is stored; see `Call.refresh`.

        Raises:
            Exception: What the function raised or returned for an item; an `ExceptionGroup` of several.
        """
        if not self._keys:
            return []
        if reader is None:
            self._set_results(self._keys, await self._values(self._keys))
        elif anew:
            await self._load_anew(reader)
        else:
            values = await self._answer(reader)
            if values is not None:
                return values
        errors = [result for result in self._results.values() if isinstance(result, Exception)]
        _raise_any(errors, len(self._keys))
        return [self._results[key] for key in self._order]

    async def _answer(self, reader: Reader) -> list[Any] | None:
        """Fill in the results; or return the values, if each item was there and none is asked for twice."""
        self._use(reader)
        tag_keys = list(self._tag_keys.values()) if self._tag_keys is not None else None
        read = await read_many(reader, self._keys, tag_keys, self._budget)
        if read is None:
            await self._run_unstored(self._keys, "bypassed")
            return None
        if not read.rest and self._keys is self._order:
            return read.values
        self._set_results(self._keys, read.values)
        if read.rest:
            await self._runtime.admission.admitted()
            await self._answer_rest(read)
        return None

    def _use(self, reader: Reader) -> None:
        self._reader, self._runtime, self._spec = reader, reader.runtime, reader.spec
        self._loads_before = self._runtime.running_loads.started
        self._budget = Budget(self._runtime.server.timeout)

    async def _load_anew(self, reader: Reader) -> None:
        """Join the refreshes that have not begun to load, and replace what is left in one load."""
        self._use(reader)
        running = self._runtime.running_loads
        begun = {key: flight for key in self._keys if (flight := running.claiming(key)) is not None}
        keys = [key for key in self._keys if key not in begun]
        if keys:
            leases, tag_keys = new_leases(keys), [self._tags_of(key) for key in keys]
            work = functools.partial(replace_many, self._load_many(self._budget), running, leases, tag_keys)
            results = await running.start_many(leases, work, claimed=True).run()
            values = [one if isinstance(one, Exception) else one.value for one in results]
            self._set_results(keys, values)
        refreshes = [
            functools.partial(self._call(key).refresh, must_store=False, joining=flight)
            for key, flight in begun.items()
        ]
        await self._set_answers([*begun], refreshes)

    async def _answer_rest(self, read: Read) -> None:
        missing, waiting, due = await self._sorted(read)
        away = [read.keys[place] for place in sorted(read.away)]
        if due:
            load = self._load_many(Budget(self._runtime.server.timeout))
            in_background = not self._takes_session
            refreshed = refresh_many(self._reader, load, due, self._load_of, in_background=in_background)
            self._results.update(await refreshed)
        uncacheable = [key for key in missing if key in self._runtime.uncacheable]
        for key in uncacheable:
            del missing[key]
        if missing:
            waiting += await self._load_absent(read, missing, away)
        else:
            await self._run_unstored(away, "bypassed")
        await self._run_unstored(uncacheable, "misses")
        await self._wait_for_others(waiting)

    async def _sorted(self, read: Read) -> tuple[dict[str, bytes], list[str], list[Due]]:
        """The keys to load, those to wait for, and the entries to renew, whose values are results already."""
        missing, waiting, due = dict[str, bytes](), list[str](), list[Due]()
        for place in read.rest:
            key, stored = read.keys[place], read.stored[place]
            del self._results[key]
            if place in read.away:
                continue
            if not stored:
                missing[key] = b""
                continue
            seen, call = read.seen(place, self._tags_of(key)), self._call(key)
            found = call.usable(seen)
            if found is not None and (isinstance(found, Placeholder) or is_inside(found.id)):
                waiting.append(key)
                continue
            decoded = await call.load.decoded(found) if found is not None else None
            if found is None or decoded is None:
                missing[key] = stored
                if not seen.outdated and parse_failure(stored) is None:
                    call.load.count("undecodable")
                continue
            self._reader.hits.count_many([key], [len(found.payload)], read.seconds)
            self._results[key] = decoded[0]
            due.append(Due(key, self._tags_of(key), found, is_due=self._is_due(read, place, found)))
        return missing, waiting, due

    def _is_due(self, read: Read, place: int, entry: Entry) -> bool:
        lifetime = self._reader.lifetime
        if not lifetime.refreshes or place in read.large:  # drawn already
            return False
        return place in read.due or lifetime.draw_refresh(entry, self._runtime.now_ms())

    async def _load_absent(self, read: Read, missing: Mapping[str, bytes], away: Sequence[str]) -> list[str]:
        """Load what no other call is loading, in one call of the function; returns the rest.

        Args:
            read: The look-up.
            missing: The keys, with the unusable bytes under each.
            away: Keys that cannot be read, whose values are loaded in the same call, and not stored.
        """
        keys, load = list(missing), self._load_many(self._budget)
        leases = new_leases(keys)
        tag_keys = [self._tags_of(key) for key in keys] if self._tag_keys is not None else None
        absent = Absent(list(missing.values()), tag_keys, read.tag_versions())
        work = functools.partial(load.run_if_absent, leases, absent, away)
        flight = self._runtime.running_loads.start_many(leases, work)
        results = await flight.run()
        rest = []
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, LoadResult) and result.found is not None:
                rest.append(key)
            else:
                self._results[key] = result if isinstance(result, Exception) else result.value
        self._results.update(load.beside)
        return rest

    async def _wait_for_others(self, keys: Sequence[str]) -> None:
        """Answer what other calls are loading, as calls for single items would be answered."""
        if not keys:
            return
        await self._set_answers(keys, [self._call(key).answer for key in keys])

    async def _set_answers(self, keys: Sequence[str], answers: Sequence[Origin]) -> None:
        """Await the answers of calls for single items."""
        if self._takes_session:  # one at a time: each may have to load after all, with the one session
            results = [await _caught(answer) for answer in answers]
        else:
            results = await asyncio.gather(*map(_caught, answers))
        self._set_results(keys, results)

    async def _run_unstored(self, keys: Sequence[str], counter: str) -> None:
        """Answer from the function, without the right to store anything."""
        if keys:
            await self._runtime.admission.admitted()
            count_for_each(self._runtime, self._reader.label, counter, keys)
            self._set_results(keys, await self._counted_values(keys))

    def _load_many(self, budget: Budget) -> LoadMany:
        runtime, lifetime = self._runtime, self._reader.lifetime
        leases = Leases(runtime, self._spec, lifetime, store=runtime.store, budget=budget)
        count = functools.partial(count_for_each, runtime, self._reader.label)
        return LoadMany(leases, self._load_of, self._counted_values, count)

    def _call(self, key: str) -> Call:
        """The call for a single item, which began with this one."""
        address = EntryKeys(key, self._tags_of(key))
        return self._reader.call(address, self._alone(key), loads_before=self._loads_before)

    def _load_of(self, key: str) -> Load:
        return self._call(key).load

    def _tags_of(self, key: str) -> tuple[str, ...]:
        return self._tag_keys[key] if self._tag_keys is not None else ()

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

    async def _counted_values(self, keys: Sequence[str]) -> list[Any]:
        """The values from the function, whose run is counted and timed once."""
        origin = functools.partial(self._values, keys)
        address = EntryKeys(keys[0], self._tags_of(keys[0]))
        values: list[Any] = await self._reader.call(address, origin).load.run()
        return values

    def _set_results(self, keys: Sequence[str], results: Sequence[Any]) -> None:
        self._results.update(zip(keys, results, strict=True))


async def _caught(answer: Origin) -> Any:
    try:
        return await answer()
    except Exception as error:  # noqa: BLE001 - raised when all items have been answered
        return error


def _raise_any(errors: Sequence[Exception], of: int) -> None:
    if len(errors) > 1:
        raise ExceptionGroup(f"{len(errors)} of {of} items failed", errors)
    for error in errors:
        raise error
