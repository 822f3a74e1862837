"""How one call to a cached function is answered: read, else load once and store.

Whatever Redis does, the function behind the cache runs at most once per call, its exceptions are
its caller's, and the cache adds at most its budget to the time the call takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from langcache_cli.caching._codec import Codec, UncacheableValueError
from langcache_cli.caching._entry import Entry, Placeholder, new_id, now_ms
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._flights import Flight, Landing
from langcache_cli.caching._runtime import Runtime
from langcache_cli.caching._server import Budget
from langcache_cli.caching._spec import FunctionSpec
from langcache_cli.caching._statistics import Label
from langcache_cli.caching._store import Lease, new_lease

Origin = Callable[[], Awaitable[Any]]


class Call:
    """One call: its key, what to run on a miss, and what Redis may still cost it."""

    def __init__(
        self,
        runtime: Runtime,
        spec: FunctionSpec,
        label: Label,
        key: str,
        origin: Origin,
        *,
        ttl_seconds: float,
    ) -> None:
        self.runtime = runtime
        self.spec = spec
        self.label = label
        self.key = key
        self.origin = origin
        self.ttl_seconds = ttl_seconds
        self.budget = Budget(runtime.server.timeout)

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
            return await self._bypass()
        while True:
            usable = self.spec.decode(stored) if stored else None
            if isinstance(usable, tuple):
                return self._hit(stored, usable, self.runtime.loop.time() - started)
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
        landing = await self.runtime.depart(lease.token, self._claim_and_load(lease)).land()
        if landing.failure is not None:
            raise landing.failure
        return landing.value

    async def _read(self) -> bytes | None:
        try:
            return await self.runtime.store.read(self.key, self.budget)
        except ServerReplyError as error:
            if error.code == "WRONGTYPE":
                self._count("undecodable")
                return None  # not ours; taking the lease replaces it
            raise

    def _hit(self, stored: bytes | None, usable: tuple[Any], seconds: float) -> Any:
        statistics = self.runtime.statistics
        statistics.add(self.label, "hits")
        statistics.add(self.label, "bytes_read", len(stored or b""))
        statistics.time(self.label, "hit", seconds)
        return usable[0]

    async def _miss(self, stored: bytes | None, placeholder: Placeholder | tuple[Any] | None) -> Landing:
        if isinstance(placeholder, Placeholder):
            flight = self.runtime.flights.get(placeholder.id)
            if flight is not None:
                return await self._join(flight)
            return Landing(await self._load_unleased())  # another process is loading it and will store it
        if stored is not None:
            self._count("undecodable")
        lease = new_lease(self.key)
        flight = self.runtime.depart(lease.token, self._acquire_and_load(lease, stored or b""))
        return await flight.land()

    async def _join(self, flight: Flight) -> Landing:
        landing = await flight.join()
        if landing is None:
            return Landing(await self._load_unleased())
        self._count("misses")
        self._count("joined")
        if landing.found is not None:
            return landing
        # A value of one's own: what one caller does to it must not show in another's.
        usable = self.spec.decode_entry(landing.entry) if landing.entry is not None else None
        return Landing(usable[0] if usable else await self._timed_origin())

    async def _acquire_and_load(self, lease: Lease, rejected: bytes) -> Landing:
        try:
            found = await self.runtime.store.acquire(lease, self.budget, rejected=rejected)
        except CacheError:
            acquired = False
        except asyncio.CancelledError:
            self.runtime.release_soon(lease)  # the server may have heard us
            raise
        else:
            if found is not None:
                return Landing(found=found)
            acquired = True
        if not acquired:
            return Landing(await self._bypass())
        self._count("misses")
        try:
            value, entry = await self._load(lease)
            with contextlib.suppress(CacheError):  # not stored: the next call will try again
                await self._store(lease, entry)
        except BaseException:
            self.runtime.release_soon(lease)
            raise
        return Landing(value, entry)

    async def _claim_and_load(self, lease: Lease) -> Landing:
        confirming = self.runtime.server.confirming
        try:
            with confirming():
                entry_stays = await self.runtime.store.claim(lease, self.budget)
        except CacheError as error:
            return Landing(failure=error)
        try:
            value, entry = await self._load(lease)
        except BaseException:
            if not entry_stays:
                self.runtime.release_soon(lease)
            raise
        try:
            with confirming():
                if not await self._store(lease, entry):
                    # Another refresh may have claimed the old entry after us: it must not outlive this call.
                    await self.runtime.store.invalidate([self.key], self.budget)
        except CacheError as error:  # for the call that asked for the refresh, not for those who joined
            return Landing(value, entry, failure=error)
        return Landing(value, entry)

    async def _load(self, lease: Lease) -> tuple[Any, Entry | None]:
        """Run the function while keeping the lease; its value, and the entry to store."""
        heartbeat = self.runtime.keep(lease)
        started = self.runtime.loop.time()
        try:
            value = await self._timed_origin()
        finally:
            heartbeat.stop()
        return value, self._encode(value, load_seconds=self.runtime.loop.time() - started)

    async def _store(self, lease: Lease, entry: Entry | None) -> bool:
        if entry is None:
            await self.runtime.store.release(lease, self.budget)
            return False
        stored = await self.runtime.store.commit(lease, entry, ttl_ms(self.ttl_seconds), self.budget)
        if stored:
            self._count("bytes_written", len(entry.payload))
        else:
            self._count("refused")
        return stored

    def _encode(self, value: Any, *, load_seconds: float) -> Entry | None:
        try:
            return new_entry(self.spec.codec, value, ttl_seconds=self.ttl_seconds, load_seconds=load_seconds)
        except UncacheableValueError as error:
            self.spec.warn_uncacheable(error)
            self._count("uncacheable")
            return None

    async def _bypass(self) -> Any:
        self._count("bypassed")
        return await self._timed_origin()

    async def _load_unleased(self) -> Any:
        self._count("misses")
        return await self._timed_origin()

    async def _timed_origin(self) -> Any:
        self._count("loads")
        started = self.runtime.loop.time()
        try:
            value = await self.origin()
        except Exception:
            self._count("load_errors")
            raise
        self.runtime.statistics.time(self.label, "load", self.runtime.loop.time() - started)
        return value

    def _count(self, counter: str, amount: int = 1) -> None:
        self.runtime.statistics.add(self.label, counter, amount)


def ttl_ms(seconds: float) -> int:
    """A TTL in the unit of Redis, which refuses 0."""
    return max(1, round(seconds * 1000))


def new_entry(codec: Codec, value: Any, *, ttl_seconds: float, load_seconds: float) -> Entry:
    """The entry of a value that was just loaded.

    Raises:
        UncacheableValueError: It would not come back the same.
    """
    now = now_ms()
    return Entry(
        id=new_id(),
        created_ms=now,
        fresh_until_ms=now + ttl_ms(ttl_seconds),
        load_us=round(load_seconds * 1e6),
        schema=codec.fingerprint,
        payload=codec.encode(value),
    )
