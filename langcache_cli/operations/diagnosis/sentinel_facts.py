"""What the sentinels say of a service, and what its primary says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langcache_cli.caching import ServerReplyError
from langcache_cli.caching.tooling import (
    Primary,
    RedisAddress,
    RedisTarget,
    SentinelError,
    ask,
    ask_primary,
    connect,
    explain_refusal,
    unavailable,
)
from langcache_cli.operations.diagnosis.server_facts import (
    INFO,
    Question,
    ServerFacts,
    ask_server,
    round_trip,
)


@dataclass(frozen=True, slots=True)
class SentinelView:
    """What one sentinel says.

    Attributes:
        address: The sentinel.
        primary: Where it sees the primary; None if it cannot be asked.
        sentinels: How many sentinels watch the service as far as it knows, itself included; 0 for unknown.
        replicas: How many replicas it knows; None if it does not say.
        seconds: The round trip of a ``PING``; None if it was not answered.
        problem: Why it cannot be asked, with what to change if that is known; empty if it can.
    """

    address: RedisAddress
    primary: Primary | None = None
    sentinels: int = 0
    replicas: int | None = None
    seconds: float | None = None
    problem: str = ""

    @property
    def where(self) -> str:
        """Host and port."""
        return self.address.where


@dataclass(frozen=True, slots=True)
class SentinelFacts:
    """A service behind Sentinel.

    Attributes:
        sentinels: The sentinels that the URL names.
        primary: The primary by the sentinel that knows the latest failover; None if none says.
    """

    sentinels: tuple[SentinelView, ...]
    primary: ServerFacts | None

    @property
    def latest(self) -> SentinelView | None:
        """The sentinel that knows the latest failover; None if none answers."""
        answering = [view for view in self.sentinels if view.primary is not None]
        return max(answering, key=lambda view: view.primary or Primary(0, "", 0), default=None)


async def sentinel_facts(
    target: RedisTarget, *, within: float, questions: Sequence[Question] = (INFO,)
) -> SentinelFacts:
    """Ask all sentinels, then the primary that they name.

    Args:
        target: The service.
        within: Seconds for everything.
        questions: What to ask the primary.
    """
    asked = [_view(sentinel, target.service, within / 2) for sentinel in target.sentinels]
    facts = SentinelFacts(tuple(await asyncio.gather(*asked)), None)
    if facts.latest is None or (primary := facts.latest.primary) is None:
        return facts
    address = target.at(primary.host, primary.port)
    return SentinelFacts(facts.sentinels, await ask_server(address, questions, within=within / 2))


async def _view(sentinel: RedisAddress, service: str, within: float) -> SentinelView:
    try:
        async with asyncio.timeout(within):
            connection = await connect(sentinel)
            try:
                seconds = await round_trip(connection)
                primary = await ask_primary(connection, service)
                (reply,) = await ask(connection, [("SENTINEL", "MASTER", service)])
            finally:
                connection.abort()
    except ServerReplyError as error:
        return SentinelView(sentinel, problem=explain_refusal(error, sentinel))
    except SentinelError as error:
        return SentinelView(sentinel, problem=str(error))
    except (OSError, UnicodeError) as error:
        return SentinelView(sentinel, problem=unavailable(error, sentinel).reason.replace("Redis", "it"))
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    said = {name.decode(): value.decode("utf-8", "replace") for name, value in pairs}
    replicas = said.get("num-slaves")
    return SentinelView(
        sentinel,
        primary,
        int(said.get("num-other-sentinels", -1)) + 1,
        None if replicas is None else int(replicas),
        seconds,
    )
