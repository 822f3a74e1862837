"""The loads under way in one event loop: found by token, by key, or by when they began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from langcache_cli.caching._clock import new_id
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._single_flight.flight import Flight, FlightPart, Joinable, LoadResult, wake_all


class RunningLoads:
    """A registry of loads, which enter it when they start and leave it when they end."""

    def __init__(
        self,
        *,
        on_background: Callable[[asyncio.Task[Any]], object],
        wake: Callable[[Iterable[asyncio.Future[None]]], object] = wake_all,
    ) -> None:
        """Start empty.

        Args:
            on_background: Called with the task of each load that runs in the background.
            wake: Resolves the futures of the calls that have joined a load.
        """
        self._wake = wake
        self._on_background = on_background
        self._by_token: dict[str, Joinable] = {}
        self._latest: dict[str, tuple[int, Joinable]] = {}
        self._refreshing: dict[str, Flight[LoadResult] | FlightPart] = {}
        self._claiming: dict[str, Joinable] = {}
        self.started = 0
        """The number of loads so far. A call notes it when it begins, see `started_since`."""

    def __len__(self) -> int:
        return len(self._by_token)

    def with_token(self, token: str) -> Joinable | None:
        """The flight with this token: a load of this event loop, or its poll for a load elsewhere."""
        return self._by_token.get(token)

    def started_since(self, started: int, key: str) -> Joinable | None:
        """The load of ``key`` that began after the first ``started`` loads, if it still runs.

        A call that noted ``started`` when it began may join that load without asking Redis: the load reads
        the database later than the call began.
        """
        number, flight = self._latest.get(key, (0, None))
        return flight if number > started else None

    def runs_again(self, token: str) -> bool:
        """True if a load that is cancelled now will be run once more, under the same lease."""
        flight = self._by_token.get(token)
        return flight is not None and flight.runs_again

    def is_refreshing(self, key: str, since: float) -> bool:
        """True while a load that began after ``since`` is about to replace the entry under ``key``."""
        flight = self._refreshing.get(key)
        return flight is not None and flight.began > since

    def claiming(self, key: str) -> Joinable | None:
        """The explicit refresh of ``key`` whose function has not begun yet: every call so far may join it."""
        return self._claiming.get(key)

    def has_claimed(self, key: str) -> None:
        """Record that the function of the refresh of ``key`` is about to begin."""
        self._claiming.pop(key, None)

    def start(
        self,
        token: str,
        work: Callable[[], Coroutine[Any, Any, LoadResult]],
        *,
        absent_key: str | None = None,
        served_key: str | None = None,
        claimed_key: str | None = None,
        at_cancel: Callable[[], object] | None = None,
        in_background: bool = False,
        ends_with_starter: bool = False,
    ) -> Flight[LoadResult]:
        """Register a load that other calls can join by its token; run it in the same turn of the event loop.

        Args:
            token: The token of its lease.
            work: Runs the load.
            absent_key: The key, if it holds no value.
            served_key: The key, if its old value is served meanwhile.
            claimed_key: The key, if this is an explicit refresh; see `claiming`.
            at_cancel: Called when its own task was cancelled; see `Flight`.
            in_background: Run it in a task of its own from now on, until the runtime is closed.
            ends_with_starter: It uses the database session of the call that starts it.
        """

        def at_end() -> None:
            for key, flights in ((served_key, self._refreshing), (claimed_key, self._claiming)):
                if key is not None and flights.get(key) is flight:
                    del flights[key]
            self._remove(token, absent_key, flight)

        flight = Flight(
            work,
            token=token,
            wake=self._wake,
            at_end=at_end,
            at_cancel=at_cancel,
            in_background=in_background,
            ends_with_starter=ends_with_starter,
        )
        if served_key is not None:
            self._end_hung(served_key)
            self._refreshing[served_key] = flight
        if claimed_key is not None:
            self._claiming[claimed_key] = flight
        self._add(token, absent_key, flight)
        if in_background:
            self._on_background(flight.detach())
        return flight

    def start_many(
        self,
        leases: Sequence[Lease],
        work: Callable[[], Coroutine[Any, Any, list[LoadResult | Exception]]],
        *,
        served: bool = False,
        claimed: bool = False,
        in_background: bool = False,
    ) -> Flight[list[LoadResult | Exception]]:
        """Register one load of many keys; other calls can join each key by its token.

        Args:
            leases: The leases of the keys.
            work: Runs the load.
            served: The keys have old values, which are served meanwhile.
            claimed: This is an explicit refresh; see `claiming`.
            in_background: Run it in a task of its own from now on; see `start`.
        """
        absent = not served and not claimed

        def at_end() -> None:
            for lease, part in parts:
                self._remove(lease.token, lease.key if absent else None, part)
                for flights in (self._refreshing, self._claiming):
                    if flights.get(lease.key) is part:
                        del flights[lease.key]

        flight = Flight(
            work,
            token=new_id(),
            wake=self._wake,
            at_end=at_end,
            in_background=in_background,
            ends_with_starter=True,
        )
        parts = [(lease, FlightPart(flight, number, lease.token)) for number, lease in enumerate(leases)]
        for lease, part in parts:
            if served:
                self._end_hung(lease.key)
                self._refreshing[lease.key] = part
            if claimed:
                self._claiming[lease.key] = part
            self._add(lease.token, lease.key if absent else None, part)
        if in_background:
            self._on_background(flight.detach())
        return flight

    def _end_hung(self, served_key: str) -> None:
        """Cancel a background load before the next one of its key begins: it has lost the right to store."""
        flight = self._refreshing.get(served_key)
        if flight is not None and flight.in_background:
            flight.cancel()

    def _add(self, token: str, absent_key: str | None, flight: Joinable) -> None:
        self._by_token[token] = flight
        self.started += 1
        if absent_key is not None:
            self._latest[absent_key] = self.started, flight

    def _remove(self, token: str, absent_key: str | None, flight: Joinable) -> None:
        self._by_token.pop(token, None)
        if absent_key is not None and self._latest.get(absent_key, (0, None))[1] is flight:
            del self._latest[absent_key]
