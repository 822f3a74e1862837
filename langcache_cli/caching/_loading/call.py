"""How one call to a cached function is answered: read, else wait for a load under way, else load.

Whatever Redis does, the function behind the cache runs at most once per call, its exceptions are
its caller's, and the cache adds at most its budget to the time the call takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._loading.remote_load import watch
from langcache_cli.caching._loading.renewal import renewed
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.store import Seen, new_lease
from langcache_cli.caching._single_flight.flight import Joinable, LoadResult


class Call:
    """One call of a cached function."""

    def __init__(self, load: Load, *, began: int | None = None) -> None:
        """Begin now, or when there had been ``began`` loads."""
        self.load = load
        self.runtime = load.runtime
        self.spec = load.spec
        self.key = load.key
        self._has_waited = False
        self._given_up: set[str] = set()
        """Tokens of loads that have taken too long."""
        self._began = self.runtime.running_loads.started if began is None else began

    async def answer(self) -> Any:
        """The value: from the cache, from a load under way, or from the function."""
        started = self.runtime.loop.time()
        return await self.go_on(await self._look(), started)

    async def go_on(self, seen: Seen | None, started: float, *, due: bool = False) -> Any:
        """The value after a first look.

        Args:
            seen: What it found; None if Redis cannot be used.
            started: When it began.
            due: Whether it is known already that the successor of the entry it found should be loaded.
        """
        while seen is not None:
            found = self.usable(seen)
            if isinstance(found, Entry):
                decoded = self.spec.decode(found)
                if decoded is not None:
                    self.count_hit(found, self.runtime.loop.time() - started)
                    return await renewed(self.load, found, decoded[0], due=due)
                found = None
            landing = await (self._miss(seen) if found is None else self._wait(found))
            if landing.found is None:
                return landing.value
            seen, due = await self._again(landing.found), False
        # outside any handler: an error of the function has nothing to do with Redis
        return await self.load.bypassing()

    async def refresh(self) -> Any:
        """Load now and replace what is stored; every load that began earlier loses the right to store.

        Raises:
            CacheUnavailableError: Redis did not take part; what it holds may be as it was.
        """
        lease = new_lease(self.key)
        landing = await self._depart(lease.token, self.load.in_any_case(lease))
        if landing.failure is not None:
            raise landing.failure
        return landing.value

    async def _look(self) -> Seen | None:
        """What is stored; None when Redis cannot be used, or not be read_if_allowed yet."""
        return await self.runtime.read_if_allowed(self.load.look)

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
        if self._has_waited:  # it was there in the end, and the load of another brought it
            self.load.count("misses")
            self.load.count("joined")
            return
        self.load.count("hits", seconds=seconds)
        self.runtime.statistics.time(self.load.label, "hit", seconds)

    async def _miss(self, seen: Seen) -> LoadResult:
        if seen.stored and not seen.outdated:
            self.load.count("undecodable")
        if self.key in self.runtime.uncacheable:
            return LoadResult(await self.load.alone())
        flight = self.runtime.running_loads.started_since(self._began, self.key)
        if flight is not None and flight.token not in self._given_up:
            return await self._join(flight)
        lease = new_lease(self.key)
        return await self._depart(lease.token, self.load.if_vacant(lease, seen.stored or b""), fills=self.key)

    async def _depart(
        self, token: str, work: Coroutine[Any, Any, LoadResult], *, fills: str | None = None
    ) -> LoadResult:
        ends_with_starter = self.spec.takes_session
        return await self.runtime.running_loads.start(
            token, work, fills=fills, ends_with_starter=ends_with_starter
        ).result()

    async def _wait(self, placeholder: Placeholder) -> LoadResult:
        """Wait for the load that holds the lease, in this process or in another."""
        board, token = self.runtime.running_loads, placeholder.id
        if token in self._given_up:
            return await self._despite(placeholder)
        flight = board.with_token(token)
        if flight is None:
            # One look-out for all calls of this process. It ends with the lease it watches.
            flight = board.start(token, watch(self.runtime.store, placeholder, self.key))
        return await self._join(flight)

    async def _despite(self, placeholder: Placeholder) -> LoadResult:
        """Load though somebody holds on to the lease for longer than we let a load take: one call for all."""
        token = f"{placeholder.id} despite"
        if token in self._given_up:
            return LoadResult(await self.load.alone())
        flight = self.runtime.running_loads.with_token(token)
        if flight is None:
            return await self._depart(token, self.load.unstored())
        return await self._join(flight)

    async def _join(self, flight: Joinable) -> LoadResult:
        """Wait for a load that another call has begun, and take its value."""
        self._has_waited = True
        landing = await self._joined(flight)
        if landing is None:
            return LoadResult(found=b"")
        if landing.found is not None:
            return landing
        if landing.failure is not None and landing.entry is None:
            return LoadResult(await self.load.bypassing())
        self.load.count("misses")
        self.load.count("joined")
        # A value of one's own: what one caller does to it must not show in another's.
        usable = self.spec.decode(landing.entry) if landing.entry is not None else None
        return LoadResult(usable[0] if usable else await self.load.run())

    async def _joined(self, flight: Joinable) -> LoadResult | None:
        """How the flight ended; None if it takes too long, or its end says nothing about this call.

        None means: look again. There may be a value by now, or the lease may be free: it ends at the latest
        when loads have had their time.
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
