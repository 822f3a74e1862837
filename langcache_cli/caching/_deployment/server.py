"""What holds the cache: one Redis server, or a cluster; the same to all that is built on it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, TypeVar

from langcache_cli.caching._admission import Admission
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._deployment.confirmation import Removal
from langcache_cli.caching._errors import CacheError, CacheUnavailableError, ServerReplyError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.breaker import FAILURES_TO_OPEN
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import Argument
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.node import Node

LOOKUPS_AT_ONCE = 4
"""So many batches of look-ups may be under way before further calls wait in line: the replies to more could
all come in one turn of the event loop, and keep it busy for too long."""

Command = tuple[Argument, ...]

T = TypeVar("T")


class Layout(NamedTuple):
    """Where the slots of a cluster are; equal if none has moved in between.

    Attributes:
        nodes: What each primary says of itself.
        redirects: How many commands were redirected so far.
        is_moving: True while a slot is on its way.
    """

    nodes: frozenset[str] = frozenset()
    redirects: int = 0
    is_moving: bool = False


class Share(NamedTuple):
    """What one node serves.

    Attributes:
        node: The node.
        slots: Its slots, as `bits_of` makes them; one server has them all.
    """

    node: Node
    slots: int


class Server(ABC):
    """Sends look-ups and commands on behalf of one event loop.

    All methods that send raise `CacheUnavailableError` if Redis does not answer within the budget; a budget
    of None allows `timeout`.
    """

    keys_per_script: ClassVar[int]
    """Upper bound for the keys of one run of a script."""

    is_cluster: ClassVar[bool] = False

    look_ups: Admission
    """The line of calls that come while too many look-ups are under way; see `try_lookup`."""

    def __init__(self, name: str, *, timeout: float, clock: IdleClock) -> None:
        """Prepare.

        Args:
            name: What to call it in messages; without password.
            timeout: Seconds that a command may take when its caller passes no budget.
            clock: Measures all times.
        """
        self.name = name
        self.timeout = timeout
        self.clock = clock

    @property
    @abstractmethod
    def is_down(self) -> bool:
        """True while nothing can be sent anywhere."""

    @property
    @abstractmethod
    def is_failing(self) -> bool:
        """True if the latest request to a node has failed."""

    @abstractmethod
    def usable(self, key: str, /) -> bool:
        """False while it is known that commands about a key cannot be sent."""

    @abstractmethod
    def try_lookup(self, keys: KeyAndTags) -> asyncio.Future[Any] | None:
        """`lookup` as a bare future, within `timeout`; None if it cannot be sent now.

        The caller must have waited in the line of `look_ups`, if that is crowded.
        """

    @abstractmethod
    async def lookup(self, keys: KeyAndTags, *, budget: Budget | None = None) -> Any:
        """The value of one key, or the list of values of several; None for no value.

        Raises:
            ServerReplyError: The reply is an error.
        """

    @abstractmethod
    async def lookup_each(
        self, keys: Sequence[str], *, budget: Budget | None = None
    ) -> list[bytes | CacheError | None]:
        """The values of keys; None for no value, an error in the place of one whose node is away.

        Raises:
            CacheError: No node was reached.
        """

    async def call(self, *command: Argument, budget: Budget | None = None) -> Any:
        """Send one command about one key, and return its reply.

        Raises:
            ServerReplyError: The reply is an error.
        """
        (reply,) = await self.call_many([command], budget=budget)
        if isinstance(reply, ServerReplyError):
            raise reply
        return reply

    @abstractmethod
    async def call_many(self, commands: Sequence[Command], *, budget: Budget | None = None) -> list[Any]:
        """Send commands, each about one key; error replies are returned in their place."""

    async def call_each(self, commands: Sequence[Command], *, budget: Budget | None = None) -> list[Any]:
        """`call_many` where that is possible.

        For commands about keys of nodes that are away there is a `CacheUnavailableError` in the place of the
        reply; it is raised if no node was reached.
        """
        return await self.call_many(commands, budget=budget)

    @abstractmethod
    async def remove(self, keys: Sequence[str | bytes], *, budget: Budget | None = None) -> int:
        """Remove keys; returns how many there were.

        Raises:
            ServerReplyError: Redis refuses.
        """

    @abstractmethod
    async def removal(self, keys: Sequence[str], *, budget: Budget | None = None) -> Removal:
        """Remove keys, and say which server has confirmed which of them.

        Raises:
            CacheUnavailableError: Outcome unknown, for all of them.
            ServerReplyError: Redis refuses.
        """

    @abstractmethod
    def shares(self) -> Sequence[Share]:
        """Which node serves which slots, as far as is known now."""

    @abstractmethod
    def share_of(self, connection: BatchedConnection) -> Share | None:
        """The node at the other end of a new connection; None if it serves nothing, or that is not known."""

    @abstractmethod
    async def nodes(self) -> Sequence[Node]:
        """The primaries, each with keys of its own."""

    async def layout(self, budget: Budget | None = None) -> Layout:  # noqa: ARG002 - nothing is asked here
        """Where the keys are now, to find out later whether some have moved."""
        return Layout()

    async def ask_nodes(
        self, ask: Callable[[Node], Awaitable[T]]
    ) -> tuple[dict[Node, T], CacheUnavailableError | None]:
        """Ask all primaries at once.

        Returns:
            The answers of those that gave one, and why others gave none; None if all did.

        Raises:
            CacheUnavailableError: None gave an answer.
            ServerReplyError: One of the answers is an error.
        """
        nodes = await self.nodes()
        answers: dict[Node, T] = {}
        lost: dict[Node, CacheUnavailableError] = {}
        outcomes = await asyncio.gather(*map(ask, nodes), return_exceptions=True)
        for node, outcome in zip(nodes, outcomes, strict=True):
            if isinstance(outcome, CacheUnavailableError):
                lost[node] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                answers[node] = outcome
        if not lost:
            return answers, None
        first = next(iter(lost.values()))
        if not answers:
            raise first
        names = tuple(node.address.where for node in lost)
        error = type(first)(f"{' and '.join(names)} of the cluster: {first.reason}", target=self.name)
        error.lost_nodes, error.__cause__ = names, first
        return answers, error

    async def notice_lost_nodes(self, within: float) -> None:
        """Make sure that nodes that do not answer within so many seconds are known to be away.

        Commands about their keys fail at once from then on, however long they might wait otherwise.

        Raises:
            CacheUnavailableError: No node has answered.
        """
        for _ in range(FAILURES_TO_OPEN):
            _, lost = await self.ask_nodes(lambda node: node.call_many([("PING",)], budget=Budget(within)))
            if lost is None:
                return

    async def ping(self, *, budget: Budget | None = None) -> None:
        """Return when every node has answered."""
        _, lost = await self.ask_nodes(lambda node: node.call("PING", budget=budget))
        if lost is not None:
            raise lost

    @abstractmethod
    async def connect(self, slots: int) -> None:
        """Make sure that commands about keys of these slots can be sent."""

    @abstractmethod
    def source_of(self, key: str, /) -> Hashable:
        """Where a key is, as far as is known: two keys of one source are on one node."""

    @abstractmethod
    def address_of(self, key: str, /) -> RedisAddress:
        """The node that has a key, as far as is known."""

    @abstractmethod
    def raise_if_not_serving(self, replies: Sequence[Any]) -> None:
        """Raise if one of the replies is an error about the server, not about the command."""

    @abstractmethod
    def abandon(self) -> Sequence[asyncio.Task[Any]]:
        """Drop the connections for good; calls fail from now on. Works after the loop has closed, too.

        Returns:
            Tasks under way, which should be cancelled if the loop still runs.
        """

    def time_left(self, started: float) -> float:
        """Seconds of `timeout` left for a call that began when `clock` showed ``started``."""
        return self.timeout - (self.clock.time() - started)

    @contextmanager
    def errors_as_unavailable(self) -> Iterator[None]:
        """Inside, an error reply is raised as `CacheUnavailableError`: the change was not made."""
        try:
            yield
        except ServerReplyError as error:
            raise self.unavailable(f"Redis refused: {error}") from error

    def unavailable(self, reason: str) -> CacheUnavailableError:
        """An error for this reason."""
        return CacheUnavailableError(reason, target=self.name)

    def too_busy(self) -> CacheUnavailableError:
        """The error of a call that stops waiting because of its event loop; no failure of the server."""
        return self.unavailable("the event loop is too busy to wait for Redis")
