"""How one call to a cached function is answered: read, else wait for a load under way, else load.

Whatever Redis does, the function behind the cache runs at most once per call, its exceptions are
its caller's, and the cache adds at most its budget to the time the call takes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from langcache_cli.caching._entry import Placeholder
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._flights import Flight, Landing
from langcache_cli.caching._loads import Load
from langcache_cli.caching._store import new_lease
from langcache_cli.caching._watch import watch


class Call:
    """One call of a cached function."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.runtime = load.runtime
        self.spec = load.spec
        self.key = load.key
        self._waits_until: float | None = None
        """While None, the call has waited for no load of another."""

    async def answer(self) -> Any:
        """The value: from the cache, from a load under way, or from the function."""
        self.spec.resolve()
        self.runtime.flush_statistics_soon()
        started = self.runtime.loop.time()
        try:
            stored = await self._read()
        except CacheError:
            reachable = False
        else:
            reachable = True
        if not reachable:  # outside the handler: an error of the function has nothing to do with Redis
            return await self.load.bypassing()
        while True:
            usable = self.spec.decode(stored) if stored else None
            if isinstance(usable, tuple):
                self._count_hit(stored or b"", self.runtime.loop.time() - started)
                return usable[0]
            landing = await self._miss(stored, usable)
            if landing.found is None:
                return landing.value
            stored = landing.found

    async def refresh(self) -> Any:
        """Load now and replace what is stored; every load that began earlier loses the right to store.

        Raises:
            CacheUnavailableError: Redis did not take part; what it holds may be as it was.
        """
        self.spec.resolve()
        self.runtime.flush_statistics_soon()
        lease = new_lease(self.key)
        landing = await self.runtime.depart(lease.token, self.load.in_any_case(lease)).land()
        if landing.failure is not None:
            raise landing.failure
        return landing.value

    async def _read(self) -> bytes | None:
        try:
            return await self.runtime.store.read(self.key, self.load.budget)
        except ServerReplyError as error:
            if error.code == "WRONGTYPE":
                self.load.count("undecodable")
                return None  # not ours; taking the lease replaces it
            raise

    def _count_hit(self, stored: bytes, seconds: float) -> None:
        statistics, label = self.runtime.statistics, self.load.label
        statistics.add(label, "bytes_read", len(stored))
        if self._waits_until is not None:  # it was there in the end, and the load of another brought it
            statistics.add(label, "misses")
            statistics.add(label, "joined")
            return
        statistics.add(label, "hits")
        statistics.time(label, "hit", seconds)

    async def _miss(self, stored: bytes | None, placeholder: Placeholder | tuple[Any] | None) -> Landing:
        if isinstance(placeholder, Placeholder):
            return await self._wait(placeholder)
        if stored:
            self.load.count("undecodable")
        if self.runtime.is_uncacheable(self.key):
            return Landing(await self.load.alone())
        lease = new_lease(self.key)
        flight = self.runtime.depart(lease.token, self.load.if_vacant(lease, stored or b""))
        return await flight.land()

    async def _wait(self, placeholder: Placeholder) -> Landing:
        """Wait for the load that holds the lease, in this process or in another."""
        now = self.runtime.loop.time()
        if self._waits_until is None:
            self._waits_until = now + self.runtime.settings.load_timeout
        if now >= self._waits_until:
            return Landing(await self.load.alone())  # one load after the other has failed
        flight = self.runtime.flights.get(placeholder.id)
        if flight is None:
            # One look-out for all calls of this process. It ends with the lease it watches.
            watching = watch(self.runtime.store, placeholder, self.key)
            flight = self.runtime.depart(placeholder.id, watching)
        landing = await self._joined(flight, self._waits_until)
        if landing is None:
            return Landing(await self.load.alone())
        if landing.found is not None:
            return landing
        if landing.failure is not None and landing.entry is None:
            return Landing(await self.load.bypassing())
        self.load.count("misses")
        self.load.count("joined")
        # A value of one's own: what one caller does to it must not show in another's.
        usable = self.spec.decode_entry(landing.entry) if landing.entry is not None else None
        return Landing(usable[0] if usable else await self.load.run())

    async def _joined(self, flight: Flight, deadline: float) -> Landing | None:
        """How the flight ended; None if it takes too long, or its end says nothing about this call."""
        timer = asyncio.timeout_at(deadline)
        try:
            async with timer:
                return await flight.join()
        except TimeoutError:
            if not timer.expired():
                raise  # the function's own
        return None
