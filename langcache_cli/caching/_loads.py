"""Running the function behind the cache: with the right to store its value, or without.

Whatever Redis does, the function runs at most once for each load, and its exceptions are its caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from langcache_cli.caching._codec import Codec, UncacheableValueError
from langcache_cli.caching._entry import Entry, new_id, now_ms
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._flights import Landing
from langcache_cli.caching._runtime import Runtime
from langcache_cli.caching._server import Budget
from langcache_cli.caching._spec import FunctionSpec
from langcache_cli.caching._statistics import Label
from langcache_cli.caching._store import Lease

Origin = Callable[[], Awaitable[Any]]


class Load:
    """One call's key, what to run for its value, and what Redis may still cost it."""

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

    async def if_vacant(self, lease: Lease, rejected: bytes) -> Landing:
        """Take the lease, unless somebody else has it or an entry is there; load and store."""
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
            return Landing(await self.bypassing())
        self.count("misses")
        try:
            value, entry = await self._load(lease)
            with contextlib.suppress(CacheError):  # not stored: the next call will try again
                await self._store(lease, entry)
        except BaseException:
            self.runtime.release_soon(lease)
            raise
        return Landing(value, entry)

    async def in_any_case(self, lease: Lease) -> Landing:
        """Take the lease from whoever has it; load and store."""
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
            value = await self.run()
        finally:
            heartbeat.stop()
        return value, self._encode(value, load_seconds=self.runtime.loop.time() - started)

    async def _store(self, lease: Lease, entry: Entry | None) -> bool:
        if entry is None:
            await self.runtime.store.release(lease, self.budget)
            return False
        stored = await self.runtime.store.commit(lease, entry, ttl_ms(self.ttl_seconds), self.budget)
        if stored:
            self.count("bytes_written", len(entry.payload))
        else:
            self.count("refused")
        return stored

    def _encode(self, value: Any, *, load_seconds: float) -> Entry | None:
        try:
            return new_entry(self.spec.codec, value, ttl_seconds=self.ttl_seconds, load_seconds=load_seconds)
        except UncacheableValueError as error:
            self.spec.warn_uncacheable(error)
            self.count("uncacheable")
            self.runtime.remember_uncacheable(self.key)
            return None

    async def bypassing(self) -> Any:
        """The value of the function, because Redis cannot be used."""
        self.count("bypassed")
        return await self.run()

    async def alone(self) -> Any:
        """The value of the function, without the right to store it."""
        self.count("misses")
        return await self.run()

    async def run(self) -> Any:
        """Run the function, counted and timed."""
        self.count("loads")
        started = self.runtime.loop.time()
        try:
            value = await self.origin()
        except Exception:
            self.count("load_errors")
            raise
        self.runtime.statistics.time(self.label, "load", self.runtime.loop.time() - started)
        return value

    def count(self, counter: str, amount: int = 1) -> None:
        """Count for the function of this call."""
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
