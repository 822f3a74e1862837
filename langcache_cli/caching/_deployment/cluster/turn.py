"""Look-ups of one turn of the event loop on a cluster: one pipeline of GETs for each node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.lookup_batch import CALLERS_PER_LOOKUP, KEYS_PER_LOOKUP
from langcache_cli.caching._wire.replies import fail

KEYS_PER_TURN = 2 * KEYS_PER_LOOKUP
"""Upper bound for the keys of one turn: they are spread over several nodes."""


class Asked(Protocol):
    """A node of the cluster."""

    def get(self, wanted: list[Wanted], *, asking: bool = False) -> None:
        """Look up keys; each reply, or the error that takes its place, goes to `Wanted.receive`.

        Args:
            wanted: The keys.
            asking: True if the node only receives their slot (``ASK``).
        """

    def timed_out(self) -> Exception:
        """Count a time-out, and return the error for those who waited."""


class KeyRouting(Protocol):
    """What a turn needs of the cluster: `Router` has it."""

    def node_of(self, key: str) -> Asked | Exception:
        """The node that serves a key, or why there is none."""

    def settle(self, wanted: Wanted, reply: Any) -> None:
        """Act on a reply that is no value: follow a redirect, or fail with the error for the callers."""


class Several:
    """A caller that waits for several keys."""

    __slots__ = ("caller", "missing", "wanted")

    def __init__(self, caller: asyncio.Future[Any], wanted: list[Wanted]) -> None:
        self.caller = caller
        self.wanted = wanted
        self.missing = len(set(wanted))

    def one_settled(self) -> None:
        """One of the keys has its value."""
        self.missing -= 1
        if not self.missing and not self.caller.done():
            self.caller.set_result([wanted.value for wanted in self.wanted])

    def one_failed(self, error: Exception) -> None:
        """One of the keys will have no value."""
        fail(self.caller, error)


class Each(Several):
    """A caller that gets the values that there are, and errors in the place of the others."""

    __slots__ = ()

    def one_settled(self) -> None:
        """One of the keys has its value, or will have none."""
        self.missing -= 1
        if not self.missing and not self.caller.done():
            self.caller.set_result([wanted.error or wanted.value for wanted in self.wanted])

    def one_failed(self, _: Exception, /) -> None:
        """One of the keys will have no value."""
        self.one_settled()

    def end(self, error: Exception) -> None:
        """Wait no longer; ``error`` takes the place of what is missing."""
        if not self.caller.done():
            self.caller.set_result(
                [one.error or (one.value if one.settled else error) for one in self.wanted]
            )


class Wanted:
    """One key of a turn, and those who wait for its value."""

    __slots__ = ("_callers", "_several", "_turn", "asked", "error", "key", "redirects", "settled", "value")

    def __init__(self, key: str, turn: Turn) -> None:
        self.key = key
        self.asked: Asked | None = None
        """The node that was asked last."""
        self.redirects = 0
        self.settled = False
        self.value: bytes | None = None
        self.error: Exception | None = None
        self._turn = turn
        self._callers: list[asyncio.Future[Any]] = []
        self._several: list[Several] = []

    def add(self, caller: asyncio.Future[Any]) -> None:
        """Let a caller wait for this key alone."""
        self._callers.append(caller)

    def join(self, several: Several) -> None:
        """Let a caller wait for this key and others."""
        self._several.append(several)

    def receive(self, reply: Any) -> None:
        """Take the reply to GET, or the error in its place. Only the first value, or failure, counts."""
        if self.settled:
            return
        if reply is None or type(reply) is bytes:
            self.succeed(reply)
        else:
            self._turn.router.settle(self, reply)

    def succeed(self, value: bytes | None) -> None:
        """Give the value to all who wait."""
        self.settled, self.value = True, value
        for caller in self._callers:
            if not caller.done():
                caller.set_result(value)
        for several in self._several:
            several.one_settled()
        self._turn.one_settled()

    def fail(self, error: Exception) -> None:
        """Let all who wait raise ``error``."""
        if self.settled:
            return
        self.settled, self.error = True, error
        for caller in self._callers:
            fail(caller, error)
        for several in self._several:
            several.one_failed(error)
        self._turn.one_settled()

    def give_up(self, error: Exception) -> None:
        """Let none wait any longer; the reply, or its absence, still counts."""
        for caller in self._callers:
            fail(caller, error)
        for several in self._several:
            fail(several.caller, error)


class Turn:
    """The look-ups of one turn, each key once. A caller has its answer when all of its keys have theirs."""

    __slots__ = ("_missing", "_new_future", "_on_end", "_wanted", "callers", "full", "router")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, router: KeyRouting, on_end: Callable[[], object]
    ) -> None:
        """Start without keys.

        Args:
            loop: The event loop of the callers.
            router: Knows the nodes.
            on_end: Called once when no key is missing any more.
        """
        self.router = router
        self.full = False
        """True when further keys belong in another turn."""
        self._new_future = loop.create_future
        self._on_end = on_end
        self._wanted: dict[str, Wanted] = {}
        self.callers = 0
        """How many look-ups there are."""
        self._missing = 0

    def add(self, keys: KeyAndTags) -> asyncio.Future[Any]:
        """A future for the values of ``keys``: the value of a single key, else a list; None for no value."""
        caller = self._new_future()
        self.callers += 1
        if len(keys) == 1:
            self._one(keys[0]).add(caller)
        else:
            self._join(Several(caller, [self._one(key) for key in keys]))
        self.full = len(self._wanted) >= KEYS_PER_TURN or self.callers >= CALLERS_PER_LOOKUP
        return caller

    def add_each(self, keys: Sequence[str]) -> Each:
        """`add` for keys of which some may have no value."""
        each = Each(self._new_future(), [self._one(key) for key in keys])
        self.callers += 1
        self._join(each)
        self.full = len(self._wanted) >= KEYS_PER_TURN or self.callers >= CALLERS_PER_LOOKUP
        return each

    def send(self) -> None:
        """Ask the nodes. Nothing may be added afterwards: a reply counts only for calls that began before."""
        self.full = True
        groups: dict[Asked, list[Wanted]] = {}
        for key, wanted in list(self._wanted.items()):
            node = self.router.node_of(key)
            if isinstance(node, Exception):
                wanted.fail(node)
            elif (group := groups.get(node)) is None:
                groups[node] = [wanted]
            else:
                group.append(wanted)
        for node, group in groups.items():
            node.get(group)

    def time_out(self) -> None:
        """Fail what has no answer; each node that owes one counts one failure."""
        failures: dict[Asked | None, Exception] = {}
        for wanted in self._unsettled():
            node = wanted.asked
            if node not in failures:
                failures[node] = node.timed_out() if node is not None else TimeoutError()
            wanted.fail(failures[node])

    def give_up(self, error: Exception) -> None:
        """Let no caller wait any longer; the replies, or their absence, still count."""
        self.full = True
        for wanted in self._unsettled():
            wanted.give_up(error)

    def one_settled(self) -> None:
        """One key has its value, or will have none."""
        self._missing -= 1
        if not self._missing:
            self._on_end()

    @staticmethod
    def _join(several: Several) -> None:
        for one in dict.fromkeys(several.wanted):
            one.join(several)

    def _one(self, key: str) -> Wanted:
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = Wanted(key, self)
            self._missing += 1
        return wanted

    def _unsettled(self) -> Iterable[Wanted]:
        return [wanted for wanted in self._wanted.values() if not wanted.settled]


def encode_gets(wanted: Iterable[Wanted]) -> bytes:
    """The bytes of one GET for each key."""
    keys = [one.key.encode() for one in wanted]
    return b"".join([b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys])
