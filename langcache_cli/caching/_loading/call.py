"""How one call to a cached function is answered: from an entry, else from a load under way, else by a load.

Whatever Redis does, the function runs at most once per call, its exceptions reach the caller unchanged, and
the cache adds at most its budget to the time of the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from langcache_cli.caching._loading.hit_counter import HitCounter
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._loading.remote_load import wait_for_change
from langcache_cli.caching._loading.renewal import renewed
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.store import Seen, new_lease
from langcache_cli.caching._single_flight.flight import Joinable, LoadResult


class Call:
    """One call of a cached function."""

    def __init__(self, load: Load, hits: HitCounter, *, loads_before: int | None = None) -> None:
        """Begin.

        Args:
            load: What to do on a miss.
            hits: Counts a hit.
            loads_before: `RunningLoads.started` when the call began; None for now.
        """
        self.load = load
        self.runtime = load.runtime
        self.spec = load.spec
        self.key = load.key
        self._hits = hits
        self._has_waited = False
        self._given_up: set[str] = set()
        """Tokens of loads that have taken too long."""
        self._loads_before = self.runtime.running_loads.started if loads_before is None else loads_before

    async def answer(self) -> Any:
        """The value: from the cache, from a load under way, or from the function."""
        started = self.runtime.loop.time()
        return await self.go_on(await self._look(), started)

    async def go_on(self, seen: Seen | None, started: float, *, renewal_due: bool | None = None) -> Any:
        """The value, after a first look-up.

        Args:
            seen: What it found; None if Redis cannot be used.
            started: When it began.
            renewal_due: The decision of `Lifetime.draw_renewal`, if the caller already drew it.
        """
        while seen is not None:
            found = self.usable(seen)
            if isinstance(found, Entry):
                decoded = self.spec.decode(found)
                if decoded is not None:
                    self.count_hit(found, self.runtime.loop.time() - started)
                    due = self.draw_renewal(found) if renewal_due is None else renewal_due
                    return await renewed(self.load, found, decoded[0], due=due)
                found = None
            result = await (self._miss(seen) if found is None else self._wait(found))
            if result.found is None:
                return result.value
            seen, renewal_due = await self._look_again(result.found), None
        # outside any handler: an error of the function has nothing to do with Redis
        return await self.load.bypass()

    async def refresh(self) -> Any:
        """Load now and replace what is stored; every load that began earlier loses the right to store.

        Raises:
            CacheUnavailableError: Redis did not confirm; what it holds may be unchanged.
        """
        lease = new_lease(self.key)
        result = await self._start(lease.token, self.load.replace(lease))
        if result.failure is not None:
            raise result.failure
        return result.value

    def usable(self, seen: Seen) -> Entry | Placeholder | None:
        """The entry that can be served, or the load to wait for.

        An entry that ends while its successor is being loaded stays in Redis as the mark of that load.
        """
        found = seen.parse()
        if isinstance(found, Entry) and found.leased_until_ms:
            now_ms = self.runtime.now_ms()
            if self.runtime.is_leased(found, now_ms) and self.load.lifetime.has_ended(found, now_ms):
                return Placeholder(found.id, found.created_ms)
        return found

    def draw_renewal(self, entry: Entry) -> bool:
        """Decide whether this call should load the successor of an entry; see `Lifetime.draw_renewal`."""
        lifetime = self.load.lifetime
        return lifetime.renews and lifetime.draw_renewal(entry, self.runtime.now_ms())

    def count_hit(self, entry: Entry, seconds: float) -> None:
        """Count a call that an entry has answered after ``seconds``."""
        if self._has_waited:  # the entry is the result of another call's load
            self.load.count("bytes_read", len(entry.payload))
            self.load.count("misses")
            self.load.count("joined")
        else:
            self._hits.count(self.key, len(entry.payload), seconds)

    async def _look(self) -> Seen | None:
        """Look up what is stored; None if Redis cannot be used, or may not be read yet."""
        return await self.runtime.read_if_allowed(self.load.look)

    async def _look_again(self, found: bytes) -> Seen | None:
        """What another call stored. Its bytes suffice, but for tagged entries, which need a new look-up."""
        if self.load.tags:
            return await self._look()
        return Seen(found) if self.runtime.may_read() else None

    async def _miss(self, seen: Seen) -> LoadResult:
        if seen.stored and not seen.outdated:
            self.load.count("undecodable")
        if self.key in self.runtime.uncacheable:
            return LoadResult(await self.load.run_without_lease())
        flight = self.runtime.running_loads.started_since(self._loads_before, self.key)
        if flight is not None and flight.token not in self._given_up:
            return await self._join(flight)
        lease = new_lease(self.key)
        work = self.load.load_if_absent(lease, seen.stored or b"")
        return await self._start(lease.token, work, fills=self.key)

    async def _start(
        self, token: str, work: Coroutine[Any, Any, LoadResult], *, fills: str | None = None
    ) -> LoadResult:
        flight = self.runtime.running_loads.start(
            token, work, fills=fills, ends_with_starter=self.spec.takes_session
        )
        return await flight.wait_as_starter()

    async def _wait(self, placeholder: Placeholder) -> LoadResult:
        """Wait for the load that holds the lease, in this process or in another."""
        running, token = self.runtime.running_loads, placeholder.id
        if token in self._given_up:
            return await self._run_without_storing(placeholder)
        flight = running.with_token(token)
        if flight is None:
            # One poll for all calls of this process; it ends with the lease that it polls.
            flight = running.start(token, wait_for_change(self.runtime.store, placeholder, self.key))
        return await self._join(flight)

    async def _run_without_storing(self, placeholder: Placeholder) -> LoadResult:
        """The holder exceeded LOAD_TIMEOUT: run the function once for all calls of this process."""
        token = f"{placeholder.id} without storing"
        if token in self._given_up:
            return LoadResult(await self.load.run_without_lease())
        flight = self.runtime.running_loads.with_token(token)
        if flight is None:
            return await self._start(token, self.load.share_without_lease())
        return await self._join(flight)

    async def _join(self, flight: Joinable) -> LoadResult:
        """Wait for a load that another call has begun, and take its value."""
        self._has_waited = True
        result = await self._result_of(flight)
        if result is None:
            return LoadResult(found=b"")
        if result.found is not None:
            return result
        if result.failure is not None and result.entry is None:
            return LoadResult(await self.load.bypass())
        self.load.count("misses")
        self.load.count("joined")
        # decoded anew: a change that one caller makes to its value must not show in another's
        decoded = self.spec.decode(result.entry) if result.entry is not None else None
        return LoadResult(decoded[0] if decoded else await self.load.run())

    async def _result_of(self, flight: Joinable) -> LoadResult | None:
        """How a load ended; None if it takes too long, or its end says nothing about this call.

        After None the caller looks again. There may be a value by now, or the lease may be free: it ends at
        the latest after LOAD_TIMEOUT and one lease.
        """
        settings = self.runtime.settings
        timer = asyncio.timeout_at(flight.began + settings.load_timeout + settings.lease_seconds)
        try:
            async with timer:
                return await flight.join()
        except TimeoutError:
            if not timer.expired():
                raise  # the function's own
        self._given_up.add(flight.token)
        return None
