"""Running the function behind the cache: with the right to store its value, or without.

Whatever Redis does, the function runs at most once for each load, and its exceptions are its caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._loading.entry_writer import EntryWriter
from langcache_cli.caching._loading.remote_load import watch
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.store import Lease, Seen, new_lease
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

logger = logging.getLogger("langcache_cli.caching")

Origin = Callable[[], Awaitable[Any]]


class Load:
    """One call: where its value is stored, what to run for it, and what Redis may still cost it."""

    def __init__(
        self,
        runtime: Runtime,
        spec: FunctionSpec,
        label: Label,
        address: EntryKeys,
        origin: Origin,
        *,
        lifetime: Lifetime,
    ) -> None:
        self.runtime = runtime
        self.spec = spec
        self.label = label
        self.key = address.key
        self.tags = address.tags
        self.origin = origin
        self.lifetime = lifetime
        self.budget = Budget(runtime.node.timeout)

    async def look(self) -> Seen:
        """What is stored now."""
        return await self.runtime.store.read(self.key, self.budget, tags=self.tags)

    async def if_vacant(self, lease: Lease, rejected: bytes) -> LoadResult:
        """Take the lease, unless somebody else has it or an entry is there; load and store."""
        try:
            lease = await self._tagged(lease)
            found = await self.runtime.store.acquire(lease, self.budget, rejected=rejected)
        except CacheError:
            self.runtime.release_soon(lease)  # it may have heard us all the same
            acquired = False
        except asyncio.CancelledError:
            self.runtime.release_soon(lease)  # the server may have heard us
            raise
        else:
            if found is not None:
                return LoadResult(found=found)
            acquired = True
        if not acquired:
            return LoadResult(await self.bypassing())
        self.count("misses")
        try:
            value, entry = await self._load(lease)
            return await self._stored(lease, value, entry)
        except BaseException:
            self.runtime.release_soon(lease)
            raise

    async def if_elected(self, lease: Lease, seen: Entry) -> LoadResult:
        """Take the lease of an entry that is served meanwhile, unless somebody else has it; load and store.

        When the load fails the lease is kept: nobody tries again before it ends.
        """
        try:
            lease = await self._tagged(lease)
            elected = await self.runtime.store.elect(lease, seen.id, self.budget)
        except CacheError:
            elected = False
        if not elected:
            return LoadResult(found=b"")
        try:
            value, entry = await self._load(lease)
        except Exception as error:
            logger.warning("%s failed; its stored value is served: %r", self.spec.name, error)
            raise
        return await self._stored(lease, value, entry)

    async def in_any_case(self, lease: Lease) -> LoadResult:
        """Take the lease from whoever has it; load and store."""
        confirming = self.runtime.node.confirming
        try:
            with confirming():
                lease = await self._tagged(lease)
                entry_stays = await self.runtime.store.claim(lease, self.budget)
        except CacheError as error:
            return LoadResult(failure=error)
        except asyncio.CancelledError:
            self.runtime.release_soon(lease)  # as above
            raise
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
            self._not_stored(lease)
            return LoadResult(value, entry, failure=error)
        except asyncio.CancelledError:
            self.runtime.release_soon(lease)
            raise
        return LoadResult(value, entry)

    async def _load(self, lease: Lease) -> tuple[Any, Entry | None]:
        """Run the function while keeping the lease; its value, and the entry to store."""
        heartbeat = self.runtime.keep(lease)
        started = self.runtime.loop.time()
        try:
            value = await self.run()
        finally:
            heartbeat.stop()
        return value, self._encode(lease, value, load_seconds=self.runtime.loop.time() - started)

    async def _tagged(self, lease: Lease) -> Lease:
        """The lease with the versions of its tags, as they are before the load begins."""
        if not self.tags:
            return lease
        ttl_ms = self.lifetime.longest_ms + self.runtime.longest_load_ms
        versions = await self.runtime.store.versions(self.tags, ttl_ms, self.budget)
        return lease._replace(tags=versions)

    async def _stored(self, lease: Lease, value: Any, entry: Entry | None) -> LoadResult:
        try:
            if entry is not None and not await self._store(lease, entry):
                return await self.superseded(LoadResult(value, entry))
            if entry is None:
                await self._store(lease, None)
        except CacheError:
            self._not_stored(lease)
        return LoadResult(value, entry)

    def _not_stored(self, lease: Lease) -> None:
        """Let the next call try again, instead of waiting for a lease under which nobody loads."""
        self.count("unstored")
        self.runtime.release_soon(lease)

    async def superseded(self, refused: LoadResult) -> LoadResult:
        """What is returned for a value that an invalidation has kept from being stored.

        Another load may have begun after the invalidation, and read the database before this one did. What
        it stores is what the next calls get. If it is older, returning ours would let this process see
        values go backwards.
        """
        seen = await self.look()
        if isinstance(successor := seen.parse(), Placeholder):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.runtime.settings.load_timeout):
                    await watch(self.runtime.store, successor, self.key)
            seen = await self.look()
        found = seen.parse() if self.runtime.may_read() else None
        if isinstance(found, Entry) and (decoded := self.spec.decode(found)):
            return LoadResult(decoded[0], found)
        return refused

    async def _store(self, lease: Lease, entry: Entry | None) -> bool:
        if entry is None:
            await self.runtime.store.release(lease, self.budget)
            return False
        ttl_ms = self.lifetime.kept_ms(entry)
        stored = await self.runtime.store.commit(lease, entry, ttl_ms, self.budget)
        self.runtime.forget([self.key])  # whoever has this value must not find an older one afterwards
        if stored:
            self.count("bytes_written", len(entry.payload))
        else:
            self.count("refused")
        return stored

    def _encode(self, lease: Lease, value: Any, *, load_seconds: float) -> Entry | None:
        loaded = EntryWriter(self.spec, self.lifetime, self.runtime, load_seconds=load_seconds)
        entry = loaded.entry(value, lease.tags)
        if entry is None:
            self.uncacheable()
        return entry

    def uncacheable(self) -> None:
        """Count a value that cannot be stored, and let calls of this key run side by side for a while."""
        self.count("uncacheable")
        self.runtime.uncacheable.add(self.key)

    async def bypassing(self) -> Any:
        """The value of the function, because Redis cannot be used."""
        self.count("bypassed")
        return await self.run()

    async def alone(self) -> Any:
        """The value of the function, without the right to store it."""
        self.count("misses")
        return await self.run()

    async def unstored(self) -> LoadResult:
        """`alone`, for others too."""
        started = self.runtime.loop.time()
        value = await self.alone()
        seconds = self.runtime.loop.time() - started
        return LoadResult(value, self._encode(new_lease(self.key), value, load_seconds=seconds))

    async def run(self) -> Any:
        """Run the function, counted and timed."""
        started = self.runtime.loop.time()
        try:
            value = await self.origin()
        except Exception:
            self.count("load_errors")
            raise
        finally:
            seconds = self.runtime.loop.time() - started
            self.count("loads", seconds=seconds)
        self.runtime.statistics.time(self.label, "load", seconds)
        return value

    def count(self, counter: str, amount: int = 1, *, seconds: float | None = None) -> None:
        """Count for the function of this call."""
        self.runtime.record(self.label, counter, amount, key=self.key, seconds=seconds)
