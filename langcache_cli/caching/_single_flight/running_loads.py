"""Which loads are under way in this process: found by their token, by their key, or by when they began."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from langcache_cli.caching._clock import new_id
from langcache_cli.caching._protocol.store import Lease
from langcache_cli.caching._single_flight.flight import Flight, FlightPart, Joinable, LoadResult


class RunningLoads:
    """The loads of one event loop."""

    def __init__(self, *, keep: Callable[[Flight[LoadResult]], object]) -> None:
        """Start without any; ``keep`` is told of those that go on when nobody waits for them."""
        self._keep = keep
        self._by_token: dict[str, Joinable] = {}
        self._latest: dict[str, tuple[int, Joinable]] = {}
        self._renewing: set[str | None] = set()
        self.started = 0
        """How many loads there have been."""

    def __len__(self) -> int:
        return len(self._by_token)

    def with_token(self, token: str) -> Joinable | None:
        """The load that holds the lease of this token."""
        return self._by_token.get(token)

    def started_since(self, started: int, key: str) -> Joinable | None:
        """The load of ``key`` that began after the first ``started`` ones, if it still runs.

        Who has begun before it may have its value without asking Redis: it was read later than that.
        """
        number, flight = self._latest.get(key, (0, None))
        return flight if number > started else None

    def is_renewing(self, key: str) -> bool:
        """Whether a load is about to replace the entry under ``key``."""
        return key in self._renewing

    def start(
        self,
        token: str,
        work: Coroutine[Any, Any, LoadResult],
        *,
        fills: str | None = None,
        renews: str | None = None,
        in_background: bool = False,
        ends_with_starter: bool = False,
    ) -> Flight[LoadResult]:
        """Start a load that others can join by its token.

        Args:
            token: That of its lease.
            work: The load.
            fills: The key, if there was nothing under it.
            renews: The key, if its value is served meanwhile.
            in_background: It goes on when nobody waits for it, until the runtime is closed.
            ends_with_starter: It uses what belongs to the call that began it, and ends with that call.
        """

        def at_end() -> None:
            self._renewing.discard(renews)
            self._forget(token, fills, flight)

        if renews is not None:
            self._renewing.add(renews)
        flight = Flight(
            work, token=token, at_end=at_end, in_background=in_background, ends_with_starter=ends_with_starter
        )
        self._announce(token, fills, flight)
        if in_background:
            self._keep(flight)
        return flight

    def start_many(
        self,
        leases: Sequence[Lease],
        work: Coroutine[Any, Any, list[LoadResult | Exception]],
        *,
        ends_with_starter: bool,
    ) -> Flight[list[LoadResult | Exception]]:
        """Start the load of many keys under which there was nothing; others can join each by its token."""

        def at_end() -> None:
            for lease, part in parts:
                self._forget(lease.token, lease.key, part)

        flight = Flight(work, token=new_id(), at_end=at_end, ends_with_starter=ends_with_starter)
        parts = [(lease, FlightPart(flight, number, lease.token)) for number, lease in enumerate(leases)]
        for lease, part in parts:
            self._announce(lease.token, lease.key, part)
        return flight

    def _announce(self, token: str, fills: str | None, flight: Joinable) -> None:
        self._by_token[token] = flight
        self.started += 1
        if fills is not None:
            self._latest[fills] = self.started, flight

    def _forget(self, token: str, fills: str | None, flight: Joinable) -> None:
        self._by_token.pop(token, None)
        if fills is not None and self._latest.get(fills, (0, None))[1] is flight:
            del self._latest[fills]
