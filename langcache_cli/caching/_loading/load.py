"""Running the function behind the cache, with the right to store its value or without.

Whatever Redis does, the function runs at most once for each load, and its exceptions reach its caller
unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from langcache_cli.caching._errors import CacheError, OversizedEntryError
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._loading.entry_writer import EntryWriter
from langcache_cli.caching._loading.failed_leases import fail_leases
from langcache_cli.caching._loading.remote_load import SHORTEST_PATIENCE_SECONDS, wait_or_overtake
from langcache_cli.caching._loading.size_refusals import raise_if_refused_before, size_refusal
from langcache_cli.caching._protocol.entry import DECLINED, Entry, Placeholder
from langcache_cli.caching._protocol.lease import Lease, holds
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.results import raise_errors
from langcache_cli.caching._protocol.store import Seen
from langcache_cli.caching._protocol.tagged_leases import acquire_one
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._single_flight.lease_renewal import LeaseRenewal
from langcache_cli.caching._single_flight.nesting import LoadScope, waits_for_us
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

Origin = Callable[[], Awaitable[Any]]
"""Runs the function with the arguments of one call."""


class Load:
    """What one call may have to do: where its value is stored, what to run, what Redis may still cost."""

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
        self.tag_keys = address.tag_keys
        self.origin = origin
        self.lifetime = lifetime
        self.budget = Budget(runtime.server.timeout)
        self._renewal: LeaseRenewal | None = None
        self.was_absent = False
        """True once the lease of a key without a usable value was taken."""

    async def look_up(self) -> Seen:
        """Look up what is stored now; raises like `Store.look_up`."""
        return await self.runtime.store.look_up(self.key, self.budget, tag_keys=self.tag_keys)

    def may_read(self) -> bool:
        """False while an invalidation that concerns the entry is unconfirmed; see `Runtime.may_read`."""
        return self.runtime.may_read((self.key, *self.tag_keys))

    # -- with a lease --

    async def load_if_absent(self, lease: Lease, seen: Seen) -> LoadResult:
        """Acquire the lease, load and store; return what is there if the lease cannot be had.

        Args:
            lease: The lease to take.
            seen: The look-up that found no usable value; an empty one if there was none.
        """
        with self.renewing(lease):
            result = await self._load_if_absent(lease, seen)
        # outside: a load that is not stored is part of nothing that others wait for
        return result if result is not None else await self._shared(self.bypass)

    async def _load_if_absent(self, lease: Lease, seen: Seen) -> LoadResult | None:
        """`load_if_absent` while the lease is renewed; None if Redis cannot be used."""
        try:
            lease, found = await acquire_one(
                *(self.runtime.store, lease, self.tag_keys, self.budget), ttl_ms=self._tag_ttl_ms, seen=seen
            )
        except CacheError:
            self.release_soon(lease)  # Outcome unknown: Redis may have given the lease.
            return None
        except asyncio.CancelledError:
            self.abandon(lease)
            raise
        if found is not None and not holds(found, lease):
            return LoadResult(found=found)
        self.was_absent = True
        self.count("misses")
        if seen.outdated:
            self.count("outdated")
        try:
            value, entry = await self.run_leased(lease)
        except Exception as error:  # whatever the function raises is shared with those who wait
            await fail_leases(self.runtime, self.runtime.store, [lease], [error], self.budget)
            raise
        except BaseException:  # cancelled, or the process ends: not an error to share
            self.abandon(lease)
            raise
        try:
            return await self.store_or_supersede(lease, value, entry)
        except asyncio.CancelledError:
            self.abandon(lease)
            raise
        except BaseException:  # whatever it is, no load runs under the lease any more
            self.release_soon(lease)
            raise

    async def value_of_successor(self, refused: LoadResult, *, joins: bool = False) -> LoadResult:
        """The value for a call whose own was refused: the one that the next call would get, if any.

        A commit is refused because of an invalidation, of another refresh, or because the lease has ended.
        Another load may have begun since. It may even have read the database earlier than this one; then
        returning our value would let this process see values go backwards. This call waits for that load no
        longer than its own has taken, or than LOAD_TIMEOUT if it ``joins`` it; then that load loses the right
        to store, and our value is returned.
        """
        seen = await self.look_up()
        if isinstance(successor := seen.parse(), Placeholder) and not waits_for_us(successor.id):
            own_seconds = refused.entry.load_us / 1e6 if refused.entry is not None else 0.0
            longest = self.runtime.settings.load_timeout
            patience = longest if joins else min(max(SHORTEST_PATIENCE_SECONDS, own_seconds), longest)
            steps = self.runtime.store, successor, self.key, self.budget
            await wait_or_overtake(*steps, watch=self.runtime.key_watch, patience=patience)
            seen = await self.look_up()
        found = seen.parse() if self.may_read() else None
        if isinstance(found, Entry) and (decoded := await self.decoded(found)):
            return LoadResult(decoded[0], found)
        return refused

    # -- without a lease --

    async def _shared(self, run: Callable[[], Awaitable[Any]]) -> LoadResult:
        """The value of a run without a lease, for this call and those that have joined it."""
        started = self.runtime.loop.time()
        value = await run()
        seconds = self.runtime.loop.time() - started
        return LoadResult(value, await self._encode(value, (), load_seconds=seconds))

    async def bypass(self) -> Any:
        """The value of the function, because Redis cannot be used."""
        await self.runtime.admission.admitted()  # many calls meet an outage in one turn of the event loop
        self.count("bypassed")
        return await self.run()

    async def run_without_lease(self) -> Any:
        """The value of the function, without the right to store it."""
        self.count("misses")
        return await self.run()

    async def share_without_lease(self, token: str) -> LoadResult:
        """`run_without_lease` for all calls of this event loop that wait for it, found by ``token``."""
        with LoadScope([token]):
            return await self._shared(self.run_without_lease)

    async def run(self) -> Any:
        """Run the function, counted and timed."""
        started = self.runtime.loop.time()
        try:
            with self.runtime.events.around_load(self.label, self.key):
                value = await self.origin()
        except Exception:  # whatever the function raises; a cancelled run is not an error of it
            self.count("load_errors")
            raise
        finally:
            seconds = self.runtime.loop.time() - started
            self.count("loads", seconds=seconds)
        self.runtime.statistics.time(self.label, "load", seconds)
        return value

    # -- counting --

    def count(self, counter: str, amount: int = 1, *, seconds: float | None = None) -> None:
        """Count for the function of this call."""
        if counter == "misses":
            self.runtime.fleet.hot_keys.sampler.pass_by((self.key,))
        self.runtime.record(self.label, counter, amount, key=self.key, seconds=seconds)

    def count_unstorable(self, why: int | None = None) -> None:
        """Count a value that is not stored; `DECLINED`, `TOO_LARGE`, or None for one that never is."""
        if why is None:
            self.count("uncacheable")
            self.runtime.uncacheable.add(self.key)  # calls of the key run side by side for a while
        else:
            self.count("declined" if why == DECLINED else "too_large")

    # -- steps --

    def renewing(self, lease: Lease) -> LeaseRenewal:
        """A context manager that prolongs the lease: from before it is taken until its value is stored."""
        self._renewal = self.runtime.renewing(self.runtime.store, [lease])
        return self._renewal

    async def with_tags(self, lease: Lease) -> Lease:
        """The lease with the versions of its tags, as they are before the load begins."""
        versions = await self.runtime.store.tag_versions(self.tag_keys, self._tag_ttl_ms, self.budget)
        return lease._replace(tag_versions=versions)

    @property
    def _tag_ttl_ms(self) -> int:
        return self.lifetime.tag_ttl_ms(self.runtime.longest_load_ms)

    async def run_leased(self, lease: Lease) -> tuple[Any, Entry | None]:
        """Run the function inside `renewing`; returns the value, and the entry to store."""
        started = self.runtime.loop.time()
        try:
            value = await self.run()
        except Exception:  # shared with others as a value is; a cancelled load leaves at once
            await self.runtime.admission.admitted(first=True)
            raise
        seconds = self.runtime.loop.time() - started
        await self.runtime.admission.admitted(first=True)
        return value, await self._encode(value, lease.tag_versions, load_seconds=seconds)

    async def store_or_supersede(self, lease: Lease, value: Any, entry: Entry | None) -> LoadResult:
        try:
            stored = await self.store(lease, entry)
        except CacheError as error:
            self.give_up_storing(lease, entry, error)
            return LoadResult(value, entry)
        if entry is not None and not stored:
            with contextlib.suppress(CacheError):
                return await self.value_of_successor(LoadResult(value, entry))
        return LoadResult(value, entry)

    async def store(self, lease: Lease, entry: Entry | None) -> bool:
        """Store the entry. One that must not be stored, or cannot be, ends the lease and a claimed entry.

        False says that the lease was lost, or that there is no entry.
        """
        store = self.runtime.store
        if entry is None or not entry.is_kept:
            (ended,) = await store.fail([lease], [b""], self.budget)
            self.runtime.forget([self.key])
            return entry is not None and bool(ended)
        raise_if_refused_before(self.runtime, self.key, len(entry.payload))
        kept_ms = self.lifetime.kept_ms(entry)
        what = [lease], [entry.to_bytes()], [kept_ms], self.budget
        if self.tag_keys and kept_ms > self.lifetime.longest_ms:
            replies = await store.commit_long(*what, tag_ttls=dict.fromkeys(self.tag_keys, kept_ms))
        else:
            replies = await store.commit(*what)
        (stored,) = raise_errors(replies)
        self.runtime.forget([self.key])  # a caller with this value must not find an older one afterwards
        if stored:
            self.count("bytes_written", len(entry.payload))
        else:
            self.count("refused")
            if self._renewal is not None and (why := self._renewal.why_ended()):
                self.spec.warn_lease_ended(why)
        return bool(stored)

    def give_up_storing(self, lease: Lease, entry: Entry | None, error: CacheError) -> None:
        """Let the next call try again at once, instead of waiting for a lease without a load."""
        if entry is None or entry.is_kept:
            self.count("unstored")
        if entry is not None and (refusal := size_refusal(self.runtime, error, len(entry.payload))):
            self.spec.warn_uncacheable(refusal)
            self.count_unstorable()
        self.release_soon(lease)

    def give_back_placeholder(self, lease: Lease) -> None:
        """Remove the placeholder of a load that was cancelled before its first step; an entry stays."""
        self.runtime.release_soon(self.runtime.store, [lease], entries_too=False)

    def abandon(self, lease: Lease) -> None:
        """Give the lease of a cancelled load back, unless the load is run once more for other calls."""
        if not self.runtime.running_loads.runs_again(lease.token):
            self.release_soon(lease)

    def release_soon(self, lease: Lease) -> None:
        self.runtime.release_soon(self.runtime.store, [lease])

    async def decoded(self, entry: Entry) -> tuple[Any] | None:
        """The value of an entry, in a tuple of one; None if another schema wrote it or it is damaged."""
        try:
            return await self.spec.decoded(entry, max_bytes=self.runtime.settings.max_decompressed_bytes)
        except OversizedEntryError:
            self.count("oversized")
            return None

    async def _encode(
        self, value: Any, tag_versions: tuple[str, ...], *, load_seconds: float
    ) -> Entry | None:
        writer = EntryWriter(self.spec, self.lifetime, self.runtime, load_seconds=load_seconds)
        entry = await writer.entry(value, tag_versions)
        if entry is None or not entry.is_kept:
            self.count_unstorable(entry and entry.fresh_until_ms)
        return entry
