"""How one call to a cached function is answered: from an entry, else from a load under way, else by a load.

Whatever Redis does, the function runs at most once per call, its exceptions reach the caller unchanged, and
the cache adds at most its budget to the time of a call that neither waits nor joins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from langcache_cli.caching._loading.cycle_watch import CycleWatch
from langcache_cli.caching._loading.hit_counter import HitCounter
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._loading.refresh import value_or_refreshed
from langcache_cli.caching._loading.remote_load import wait_for_change
from langcache_cli.caching._loading.replacing import replace
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.failure import Failure, parse_failure
from langcache_cli.caching._protocol.lease import Lease, new_lease
from langcache_cli.caching._protocol.store import Seen
from langcache_cli.caching._single_flight.flight import NOT_RUN, Joinable, LoadResult
from langcache_cli.caching._single_flight.nesting import is_inside, is_nested, waiting_for, waits_for_us
from langcache_cli.caching._single_flight.shared_errors import described


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
        self._circular: set[str] = set()
        """Tokens of loads of other processes that wait for a load around this call."""
        self._loads_before = self.runtime.running_loads.started if loads_before is None else loads_before

    async def answer(self) -> Any:
        """The value: from the cache, from a load under way, or from the function."""
        started = self.runtime.loop.time()
        seen = await self._look_up()
        if seen is not None:
            await self.runtime.admission.admitted()
        return await self.go_on(seen, started)

    async def go_on(self, seen: Seen | None, started: float, *, refresh_due: bool | None = None) -> Any:
        """The value, after a first look-up.

        Args:
            seen: What it found; None if Redis cannot be used.
            started: When it began.
            refresh_due: The decision of `Lifetime.draw_refresh`, if the caller already drew it.
        """
        while seen is not None:
            found = self.usable(seen)
            if found is not None and is_inside(found.id):
                return await self.load.run_without_lease()  # part of the load that would replace it
            if isinstance(found, Entry):
                decoded = await self.load.decoded(found)
                if decoded is not None:
                    self.count_answered(found, self.runtime.loop.time() - started)
                    due = self.draw_refresh(found) if refresh_due is None else refresh_due
                    return await value_or_refreshed(self.load, found, decoded[0], due=due)
                found = None
            result = await (self._miss(seen) if found is None else self._wait(found))
            if result.found is None:
                return result.value
            seen, refresh_due = await self._next_seen(result.found), None
        # outside any handler: an error of the function has nothing to do with Redis
        return await self.load.bypass()

    async def refresh(self, *, must_store: bool = True, joining: Joinable | None = None) -> Any:
        """Load now and replace what is stored; every load that began earlier loses the right to store.

        Calls that come before the function has begun share its run; later ones run it again, as they may know
        of a change that it has not seen.

        Args:
            must_store: False for a call that wants a value that was loaded now, whatever Redis does.
            joining: What `RunningLoads.claiming` has returned for this call; None asks.

        Raises:
            CacheUnavailableError: Redis did not confirm; what it holds may be unchanged.
        """
        running = self.runtime.running_loads
        flight = joining or running.claiming(self.key)
        while flight is not None:
            joined = await flight.join()
            if joined is not None:
                return await self._shared_refresh(joined, must_store=must_store)
            flight = running.claiming(self.key)
        lease = new_lease(self.key)
        result = await self._start(lease, partial(replace, self.load, lease), claimed_key=self.key)
        if result.failure is not None and must_store:
            raise result.failure
        return result.value if result.value is not NOT_RUN else await self.load.bypass()

    async def _shared_refresh(self, result: LoadResult, *, must_store: bool) -> Any:
        """The value of a refresh that another call began, decoded anew for this one."""
        if result.failure is not None and must_store:
            raise result.failure
        decoded = await self.load.decoded(result.entry) if result.entry is not None else None
        return decoded[0] if decoded is not None else await self.load.run()

    def usable(self, seen: Seen) -> Entry | Placeholder | None:
        """The entry that can be served, or the load to wait for.

        While its successor is being loaded, Redis keeps an entry past its end (``outlive`` in
        ``lua/shared.lua``). Such an entry is not served any more: it counts as the placeholder of that load.
        """
        found = seen.parse()
        if isinstance(found, Entry) and found.leased_until_ms:
            now_ms = self.runtime.now_ms()
            if self.runtime.is_leased(found, now_ms) and self.load.lifetime.has_ended(found, now_ms):
                return Placeholder(found.id, found.created_ms)
        return found

    def draw_refresh(self, entry: Entry) -> bool:
        """Decide whether this call should load the successor of an entry; see `Lifetime.draw_refresh`."""
        lifetime = self.load.lifetime
        return lifetime.refreshes and lifetime.draw_refresh(entry, self.runtime.now_ms())

    def count_answered(self, entry: Entry, seconds: float) -> None:
        """Count a call that an entry has answered: a hit, or a miss that waited for a load."""
        if self._has_waited:  # the entry is the result of another call's load
            self.load.count("bytes_read", len(entry.payload))
            self.load.count("misses")
            self.load.count("joined")
        else:
            self._hits.count(self.key, len(entry.payload), seconds)

    async def _look_up(self) -> Seen | None:
        """Look up what is stored; None if Redis cannot be used, or may not be read yet."""
        keys = self.key, *self.load.tag_keys
        return await self.runtime.read_if_allowed(keys, self.load.look_up)

    async def _next_seen(self, found: bytes) -> Seen | None:
        """What to go on with: the bytes that a load without a result reported, or a new look-up.

        Tagged entries need the look-up. Unknown bytes (``b""``) count as an empty key: the attempt to acquire
        its lease shows what is there.
        """
        if self.load.tag_keys:
            return await self._look_up()
        return Seen(found) if self.load.may_read() else None

    async def _miss(self, seen: Seen) -> LoadResult:
        if seen.stored and not seen.outdated and parse_failure(seen.stored) is None:
            self.load.count("undecodable")
        if self.key in self.runtime.uncacheable:
            return LoadResult(await self.load.run_without_lease())
        flight = self.runtime.running_loads.started_since(self._loads_before, self.key)
        if flight is not None and flight.token not in self._given_up:
            return await self._join(flight)
        lease = new_lease(self.key)
        work = partial(self.load.load_if_absent, lease, seen)
        return await self._start(lease, work, absent_key=self.key)

    async def _start(
        self,
        lease: Lease,
        work: Callable[[], Coroutine[Any, Any, LoadResult]],
        *,
        absent_key: str | None = None,
        claimed_key: str | None = None,
    ) -> LoadResult:
        flight = self.runtime.running_loads.start(
            lease.token,
            work,
            absent_key=absent_key,
            claimed_key=claimed_key,
            at_cancel=partial(self.load.give_back_placeholder, lease),
            ends_with_starter=self.spec.takes_session,
        )
        return await flight.run()

    async def _wait(self, placeholder: Placeholder) -> LoadResult:
        """Wait for the load that holds the lease, in this process or in another."""
        running, token = self.runtime.running_loads, placeholder.id
        if token in self._given_up or is_inside(_without_storing(token)):
            return await self._run_without_storing(placeholder.id)
        flight = running.with_token(token)
        if flight is None:
            # One poll for all calls of this event loop, which find it by the same token.
            wait = partial(wait_for_change, self.runtime.store, placeholder, self.key)
            flight = running.start(token, partial(wait, watch=self.runtime.key_watch))
            flight.detach()
        return await self._join(flight)

    async def _run_without_storing(self, holder: str) -> LoadResult:
        """Run the function once for all calls of this event loop that have waited for the load ``holder``.

        That load has exceeded LOAD_TIMEOUT, or has ended with what cannot be passed on.
        """
        token = _without_storing(holder)
        if token in self._given_up:
            return LoadResult(await self.load.run_without_lease())
        running = self.runtime.running_loads
        joinable = running.with_token(token)
        if joinable is None:
            work = partial(self.load.share_without_lease, token)
            flight = running.start(token, work, ends_with_starter=self.spec.takes_session)
            return await flight.run()
        return await self._join(joinable)

    async def _join(self, flight: Joinable) -> LoadResult:
        """Wait for a load that another call has begun, and take its value.

        A load that waits for this call, or for a load that this call is part of, is not waited for.
        """
        if flight.token in self._circular or waits_for_us(flight.token):
            return LoadResult(await self.load.run_without_lease())
        self._has_waited = True
        with waiting_for(flight.token):
            result = await self._result_of(flight)
        return await self._taken(result) if result is not None else LoadResult(found=b"")

    async def _taken(self, result: LoadResult) -> LoadResult:
        """What this call makes of the end of a load that it has joined."""
        if result.found is not None:
            return result
        if result.failed is not None:
            return await self._share_failure(result.failed)
        if result.failure is not None and result.entry is None:
            return LoadResult(await self.load.bypass())
        self.load.count("misses")
        # decoded anew: a change that one caller makes to its value must not show in another's
        decoded = await self.load.decoded(result.entry) if result.entry is not None else None
        if decoded is None:
            return LoadResult(await self.load.run())
        self.load.count("joined")
        return LoadResult(decoded[0])

    async def _share_failure(self, failed: Failure) -> LoadResult:
        """Raise what a load of another process has raised; run the function if that cannot be told."""
        error = described(failed.error)
        if error is None:
            return await self._run_without_storing(failed.id)
        self.load.count("misses")
        raise error

    async def _result_of(self, flight: Joinable) -> LoadResult | None:
        """How a load ended; None if it takes too long, or its end says nothing about this call.

        After None the caller looks again. There may be a value by now, or the lease may be free: it ends at
        the latest after LOAD_TIMEOUT and one lease.
        """
        settings = self.runtime.settings
        timer = asyncio.timeout_at(flight.began + settings.load_timeout + settings.lease_seconds)
        try:
            async with timer:
                return await (self._join_watched(flight) if is_nested() else flight.join())
        except TimeoutError:
            if not timer.expired():
                raise  # the function's own
        self._given_up.add(flight.token)
        return None

    async def _join_watched(self, flight: Joinable) -> LoadResult | None:
        """`Joinable.join` for a call inside a load; None also when the two loads wait for each other."""
        watch = CycleWatch(self.runtime.server, self.runtime.settings.namespace, flight.token)
        joining = asyncio.ensure_future(flight.join())
        watching = asyncio.ensure_future(watch.found())
        try:
            await asyncio.wait([joining, watching], return_when=asyncio.FIRST_COMPLETED)
            if joining.done():
                return joining.result()
            self._circular.add(flight.token)
            return None
        finally:
            for task in (joining, watching):
                task.cancel()
            await asyncio.wait([joining, watching])
            if not joining.cancelled():
                joining.exception()  # retrieved: raised above, or of no concern to a call that was cancelled


def _without_storing(token: str) -> str:
    return f"{token} without storing"
