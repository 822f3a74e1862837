"""How one call to a cached function is answered: read, else wait for a load under way, else load.

Whatever Redis does, the function behind the cache runs at most once per call, its exceptions are
its caller's, and the cache adds at most its budget to the time the call takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._entry import Entry, Placeholder
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._flights import Joinable, Landing
from langcache_cli.caching._loads import Load
from langcache_cli.caching._renewals import renewed
from langcache_cli.caching._store import Seen, new_lease
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
        self._began = self.runtime.board.departures

    async def answer(self) -> Any:
        """The value: from the cache, from a load under way, or from the function."""
        self.spec.resolve()
        started = self.runtime.loop.time()
        seen = await self._look()
        while seen is not None:
            found = self.usable(seen)
            if isinstance(found, Entry):
                decoded = self.spec.decode(found)
                if decoded is not None:
                    self.count_hit(found, self.runtime.loop.time() - started)
                    return await renewed(self.load, found, decoded[0])
                found = None
            landing = await (self._miss(seen) if found is None else self._wait(found))
            if landing.found is None:
                return landing.value
            seen = await self._again(landing.found)
        # outside any handler: an error of the function has nothing to do with Redis
        return await self.load.bypassing()

    async def refresh(self) -> Any:
        """Load now and replace what is stored; every load that began earlier loses the right to store.

        Raises:
            CacheUnavailableError: Redis did not take part; what it holds may be as it was.
        """
        self.spec.resolve()
        lease = new_lease(self.key)
        landing = await self.runtime.board.depart(lease.token, self.load.in_any_case(lease)).land()
        if landing.failure is not None:
            raise landing.failure
        return landing.value

    async def _look(self) -> Seen | None:
        """What is stored; None when Redis cannot be used, or not be believed yet."""
        if not self.runtime.may_read():
            return None
        try:
            seen = await self.load.look()
            # asked again: a new connection may lead to a server that has forgotten invalidations
            return seen if self.runtime.may_read() else None
        except CacheError:
            return None

    async def _again(self, found: bytes) -> Seen | None:
        """What is stored after somebody else was quicker; ``found`` says it all, unless there are tags."""
        if self.load.tags:
            return await self._look()
        return Seen(found) if self.runtime.may_read() else None

    def usable(self, seen: Seen) -> Entry | Placeholder | None:
        """The entry that can be served, or the load to wait for.

        An entry that ends while its successor is being loaded stays in Redis as the sign of that load.
        """
        found = seen.parse()
        if isinstance(found, Entry) and found.leased_until_ms:
            now_ms = self.runtime.now_ms()
            if self.runtime.is_leased(found, now_ms) and self.load.lifetime.has_ended(found, now_ms):
                return Placeholder(found.id, found.created_ms)
        return found

    def count_hit(self, entry: Entry, seconds: float) -> None:
        """Count a call that an entry has answered, after so many seconds."""
        self.load.count("bytes_read", len(entry.payload))
        if self._waits_until is not None:  # it was there in the end, and the load of another brought it
            self.load.count("misses")
            self.load.count("joined")
            return
        self.load.count("hits", seconds=seconds)
        self.runtime.statistics.time(self.load.label, "hit", seconds)

    async def _miss(self, seen: Seen) -> Landing:
        if seen.stored and not seen.outdated:
            self.load.count("undecodable")
        if self.runtime.is_uncacheable(self.key):
            return Landing(await self.load.alone())
        flight = self.runtime.board.departed_since(self._began, self.key)
        if flight is not None:
            return await self._join(lambda: flight)
        lease = new_lease(self.key)
        work = self.load.if_vacant(lease, seen.stored or b"")
        return await self.runtime.board.depart(lease.token, work, fills=self.key).land()

    async def _wait(self, placeholder: Placeholder) -> Landing:
        """Wait for the load that holds the lease, in this process or in another."""
        return await self._join(lambda: self._flight_of(placeholder))

    def _flight_of(self, placeholder: Placeholder) -> Joinable:
        flight = self.runtime.board.with_token(placeholder.id)
        if flight is None:
            # One look-out for all calls of this process. It ends with the lease it watches.
            watching = watch(self.runtime.store, placeholder, self.key)
            flight = self.runtime.board.depart(placeholder.id, watching)
        return flight

    async def _join(self, board: Callable[[], Joinable]) -> Landing:
        """Wait for a load that another call has begun, and take its value."""
        now = self.runtime.loop.time()
        if self._waits_until is None:
            self._waits_until = now + self.runtime.settings.load_timeout
        if now >= self._waits_until:
            return Landing(await self.load.alone())  # one load after the other has failed
        flight = board()
        landing = await self._joined(flight, self._waits_until)
        if landing is None:
            return Landing(found=b"")
        if landing.found is not None:
            return landing
        if landing.failure is not None and landing.entry is None:
            return Landing(await self.load.bypassing())
        self.load.count("misses")
        self.load.count("joined")
        # A value of one's own: what one caller does to it must not show in another's.
        usable = self.spec.decode(landing.entry) if landing.entry is not None else None
        return Landing(usable[0] if usable else await self.load.run())

    async def _joined(self, flight: Joinable, deadline: float) -> Landing | None:
        """How the flight ended; None if it takes too long, or its end says nothing about this call.

        None means: look again. There may be a value by now, or the lease may be free.
        """
        timer = asyncio.timeout_at(deadline)
        try:
            async with timer:
                return await flight.join()
        except TimeoutError:
            if not timer.expired():
                raise  # the function's own
        return None
