"""Counters of one minute on their way to Redis: added once, however often they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langcache_cli.caching._deployment.server import Command, Server
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._protocol.results import name_missing_rights
from langcache_cli.caching._protocol.scripts import script
from langcache_cli.caching._statistics.counters import Counts
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

STEP = "count"
ADDED_TO_NOTHING = 2


@dataclass(frozen=True, slots=True)
class Portion:
    """Counters of one minute under labels of one part, and the command that adds them.

    Attributes:
        minute: When they were counted: the start of the minute, in seconds since 1970.
        counts: The counters.
        keys: See ``lua/count.lua``.
        arguments: See ``lua/count.lua``.
    """

    minute: int
    counts: dict[Label, Counts]
    keys: tuple[str, ...]
    arguments: tuple[str | int, ...]


async def deliver(server: Server, portions: Sequence[Portion], budget: Budget) -> list[bool | CacheError]:
    """Add portions, each unless that was done before.

    Returns:
        For each portion True if Redis knows of no earlier delivery of the process to its part: it is the
        first, or Redis has lost data. An error if Redis did not confirm it, or refused; the outcome is
        unknown then.

    Raises:
        CacheUnavailableError: No node was reached; the outcome is unknown.
    """
    lua = script(STEP)
    rests: list[Command] = [(len(portion.keys), *portion.keys, *portion.arguments) for portion in portions]
    replies = await server.call_each([("EVALSHA", lua.digest, *rest) for rest in rests], budget=budget)
    unknown = [place for place, reply in enumerate(replies) if _is_noscript(reply)]
    if unknown:
        again = [("EVAL", lua.source, *rests[place]) for place in unknown]
        for place, reply in zip(unknown, await server.call_each(again, budget=budget), strict=True):
            replies[place] = reply
    name_missing_rights(lua.source, replies)
    return [reply if isinstance(reply, CacheError) else reply == ADDED_TO_NOTHING for reply in replies]


def _is_noscript(reply: object) -> bool:
    return isinstance(reply, ServerReplyError) and reply.code == "NOSCRIPT"
