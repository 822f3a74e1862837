"""Spreading the work of many calls over many turns of the event loop.

A hundred thousand calls that begin in one turn would otherwise be answered in one turn, too: nothing else
runs meanwhile, no reply is read, and leases end before what was loaded under them is stored.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from time import thread_time

PAUSE_SECONDS = 0.001
"""How long to wait before asking again for room."""

CALLS_PER_SECOND = 2500
"""So many calls may go on for each second of work in the last turn, if that is more: most was other work."""

Waiter = asyncio.Future[None]


class Line:
    """Calls that came in the same turn of the event loop. They stay together wherever they wait."""

    __slots__ = ()


class Admission:
    """Lets at most so many calls go on in each turn of the event loop; the others wait in lines.

    It limits how much is begun in a turn, not how much is under way: no place has to be given back, so a call
    that waits for another, or is cancelled, blocks none. The calls of one line go on in the order in which
    they came. The lines take turns, so a call that comes alone does not wait for a burst before it.
    """

    def __init__(self, least: int, most: int, *, has_room: Callable[[], bool] = lambda: True) -> None:
        """Start without a line.

        Args:
            least: How many calls may go on in each turn.
            most: How many may go on after a long turn, so that a busy loop does not hold them up.
            has_room: False while none may.
        """
        self._least = least
        self._most = most
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._left = least
        self._worked = thread_time()
        self._first: deque[Waiter] = deque()
        self._lines: OrderedDict[Line, deque[Waiter]] = OrderedDict()
        self._latest = Line()
        """The line of this turn."""
        self._scheduled = False
        self.crowded = False
        """True if a call that comes now has to wait in a line."""

    async def admitted(self, line: Line | None = None, *, first: bool = False) -> Line | None:
        """Return when the caller may go on: at once, unless others were let in before it in this turn.

        Args:
            line: The line in which the call has waited before; None for that of this turn.
            first: Go before all lines; for work that ends something.

        Returns:
            The line in which the call has waited.
        """
        if self._enter():
            return line
        line = line or self._latest
        waiter = self._loop.create_future()
        if first:
            self._first.append(waiter)
            self.close()
        else:
            self._add(waiter, line)
        await waiter
        return line

    def resolve(self, waiters: Iterable[Waiter]) -> None:
        """Resolve futures that calls wait for, as many in each turn as may go on."""
        line = Line()
        for waiter in waiters:
            if self._enter():
                _resolve(waiter)
            else:
                self._add(waiter, line)

    def close(self) -> None:
        """Let calls wait in lines until there is room."""
        self.crowded = True
        if not self._scheduled:
            self._schedule()

    def _enter(self) -> bool:
        """True if there is no need to wait in a line."""
        if self.crowded:
            return False
        self._left -= 1
        if self._left <= 0:
            self.crowded = True
        if not self._scheduled:
            self._schedule()
        return True

    def _add(self, waiter: Waiter, line: Line) -> None:
        waiting = self._lines.get(line)
        if waiting is None:
            waiting = self._lines[line] = deque()
            self.close()
        waiting.append(waiter)

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._latest = Line()
        if not self._has_room():
            self._loop.call_later(PAUSE_SECONDS, self._next_turn)
            return
        self._scheduled = False
        worked = thread_time()
        allowed = min(self._most, max(self._least, int((worked - self._worked) * CALLS_PER_SECOND)))
        self._worked = worked
        let_in = 0
        while let_in < allowed and (waiter := self._next()) is not None:
            let_in += _resolve(waiter)
        self._left = allowed - let_in
        self.crowded = self._left <= 0
        if let_in:
            self._schedule()

    def _next(self) -> Waiter | None:
        if self._first:
            return self._first.popleft()
        if not self._lines:
            return None
        line, waiting = self._lines.popitem(last=False)
        waiter = waiting.popleft()
        if waiting:
            self._lines[line] = waiting
        return waiter


def _resolve(waiter: Waiter) -> bool:
    if waiter.done():  # its call was cancelled
        return False
    waiter.set_result(None)
    return True
