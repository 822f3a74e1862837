"""The atomic steps, as Lua scripts. Each takes any number of keys and decides about every key by itself."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from itertools import chain, islice
from typing import Any, NamedTuple

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._protocol import header
from langcache_cli.caching._protocol.results import name_missing_rights
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import Argument

Column = Sequence[Argument]
"""One argument of a script for each of its keys."""

BYTES_PER_RUN = 128 * 1024
"""Upper bound for the arguments of one run: the server holds a command in memory until it is complete."""

STEPS = ("acquire", "claim", "commit", "elect", "release", "renew", "tag", "withdraw")


class Run(NamedTuple):
    """Some of the keys of a script, with their arguments.

    Attributes:
        n_keys: The number of keys.
        arguments: The keys, then the arguments of the first key, of the second, and so on.
    """

    n_keys: int
    arguments: tuple[Argument, ...]

    @property
    def key(self) -> str:
        """The first key."""
        return str(self.arguments[0])


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and its SHA-1, by which a server that has run it knows it."""

    source: str
    digest: str

    def by_digest(self, run: Run) -> tuple[Argument, ...]:
        """The command that runs it on a server that knows it; elsewhere the reply is ``NOSCRIPT``."""
        return ("EVALSHA", self.digest, run.n_keys, *run.arguments)

    def by_source(self, run: Run) -> tuple[Argument, ...]:
        """The command that runs it on any server."""
        return ("EVAL", self.source, run.n_keys, *run.arguments)


LEAST_SHARE = 0.1
"""Of the time for a command: so long at least a node may take that lacks a script and has just said so."""


@cache
def script(step: str) -> Script:
    """``lua/{step}.lua`` behind the table of header fields and the functions that all steps share."""
    folder = files("langcache_cli.caching._protocol") / "lua"
    own, shared = ((folder / f"{name}.lua").read_text("utf-8") for name in (step, "shared"))
    source = header.LUA + shared + own
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


class Step(NamedTuple):
    """A step to run.

    Attributes:
        name: One of `STEPS`.
        keys: Its keys.
        columns: Its arguments: each column holds one argument for every key.
    """

    name: str
    keys: Sequence[str]
    columns: Sequence[Column]


async def run_script(
    server: Server,
    step: str,
    keys: Sequence[str],
    *columns: Column,
    budget: Budget | None = None,
    partly: bool = False,
) -> list[Any]:
    """`run_scripts` for one step.

    Args:
        server: Where to run it.
        step: One of `STEPS`.
        keys: The keys.
        columns: The arguments: each column holds one argument for every key.
        budget: Upper bound for the time; without it the server's own.
        partly: See `run_scripts`.
    """
    (results,) = await run_scripts(server, [Step(step, keys, columns)], budget=budget, partly=partly)
    return results


async def run_scripts(
    server: Server, steps: Sequence[Step], *, budget: Budget | None = None, partly: bool = False
) -> list[list[Any]]:
    """Run steps, each on any number of keys, all in one round trip.

    The first time that a server runs a step may come after later steps that it knows.

    Args:
        server: Where to run them.
        steps: The steps.
        budget: Upper bound for the time; without it the server's own.
        partly: True for a `CacheUnavailableError` in the place of each result that a node which is away
            would have given; it is raised only if no node was reached.

    Returns:
        For each step one result for each key; error replies in their place.

    Raises:
        CacheUnavailableError: Not all replies came within the budget, or the breaker is open.
    """
    budget = budget or Budget(server.timeout)
    if all(len(step.keys) == 1 for step in steps):
        return await _run_for_one_key(server, steps, budget, partly=partly)
    portions = [
        (script(step.name), run)
        for step in steps
        for run in runs(step.keys, step.columns, keys_per_run=server.keys_per_script)
    ]
    send = server.call_each if partly else server.call_many
    replies = await send([lua.by_digest(run) for lua, run in portions], budget=budget)
    unknown = [index for index, reply in enumerate(replies) if _is_noscript(reply)]
    if unknown:
        # EVAL makes a node remember the digest, which the later runs use
        unique = {index: (portions[index][0], server.source_of(portions[index][1].key)) for index in unknown}
        by_source = set({unique[index]: index for index in reversed(unknown)}.values())
        again = _Again(server, portions, replies, budget, partly=partly)
        await again.run(unknown, by_source=by_source)
        # a slot that is on its way is served by two nodes, of which the other knows no script yet
        unknown = [index for index in unknown if _is_noscript(replies[index])]
        if unknown:
            await again.run(unknown, by_source=unknown)
    results = _joined(portions, replies)
    server.raise_if_not_serving(results)
    if len(steps) == 1:
        return [results]
    of_steps = iter(results)
    return [list(islice(of_steps, len(step.keys))) for step in steps]


def _joined(portions: Sequence[tuple[Script, Run]], replies: Sequence[Any]) -> list[Any]:
    """One result for each key of all portions."""
    results: list[Any] = []
    for (lua, run), reply in zip(portions, replies, strict=True):
        of_run = reply if isinstance(reply, list) else [reply] * run.n_keys
        name_missing_rights(lua.source, of_run)
        results += of_run
    return results


class _Again:
    """Portions that some nodes did not know, once the others have executed theirs."""

    def __init__(
        self,
        server: Server,
        portions: Sequence[tuple[Script, Run]],
        replies: list[Any],
        budget: Budget,
        *,
        partly: bool,
    ) -> None:
        self._server = server
        self._portions = portions
        self._replies = replies
        self._budget = budget
        self._partly = partly

    async def run(self, unknown: Sequence[int], *, by_source: Container[int]) -> None:
        """Run some portions again, those in ``by_source`` with their source, and replace their replies."""
        commands = [
            lua.by_source(run) if index in by_source else lua.by_digest(run)
            for index in unknown
            for lua, run in [self._portions[index]]
        ]
        for index, reply in zip(unknown, await self._replies_to(commands), strict=True):
            self._replies[index] = reply

    async def _replies_to(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        if not self._partly:
            return await self._server.call_many(commands, budget=self._budget)
        # A node of a cluster that hangs has spent the time of those that have answered and lack a script.
        least = LEAST_SHARE * self._server.timeout if self._server.is_cluster else 0.0
        budget = Budget(max(self._budget.left, least))
        spent = budget.left - self._budget.left
        try:
            return await self._server.call_each(commands, budget=budget)
        except CacheUnavailableError as error:
            return [error] * len(commands)
        finally:
            self._budget.left = budget.left - spent


async def _run_for_one_key(
    server: Server, steps: Sequence[Step], budget: Budget, *, partly: bool
) -> list[list[Any]]:
    """`run_scripts` for steps that have one key each, as those of most misses."""
    commands: list[tuple[Argument, ...]] = [
        ("EVALSHA", script(step.name).digest, 1, step.keys[0], *[column[0] for column in step.columns])
        for step in steps
    ]
    send = server.call_each if partly and len(steps) > 1 else server.call_many
    replies = await send(commands, budget=budget)
    for place, reply in enumerate(replies):
        if _is_noscript(reply):
            by_source = ("EVAL", script(steps[place].name).source, *commands[place][2:])
            (replies[place],) = await server.call_many([by_source], budget=budget)
    results = [reply if isinstance(reply, list) else [reply] for reply in replies]
    for step, result in zip(steps, results, strict=True):
        name_missing_rights(script(step.name).source, result)
        server.raise_if_not_serving(result)
    return results


def runs(keys: Sequence[str], columns: Sequence[Column], *, keys_per_run: int) -> Iterator[Run]:
    """Split keys into runs of at most ``keys_per_run`` keys and about `BYTES_PER_RUN` bytes."""
    for start in range(0, len(keys), keys_per_run):
        end = start + keys_per_run
        yield from _halved(keys[start:end], [column[start:end] for column in columns])


def _halved(keys: Sequence[str], columns: Sequence[Column]) -> Iterator[Run]:
    if len(keys) > 1 and sum(map(_n_bytes, columns)) > BYTES_PER_RUN:
        middle = len(keys) // 2
        yield from _halved(keys[:middle], [column[:middle] for column in columns])
        yield from _halved(keys[middle:], [column[middle:] for column in columns])
    else:
        yield Run(len(keys), (*keys, *chain.from_iterable(zip(*columns, strict=True))))


def _n_bytes(column: Column) -> int:
    """The size of a column of values; texts and numbers are short and count nothing."""
    return sum(map(len, column)) if isinstance(column[0], bytes) else 0  # type: ignore[arg-type] # all are bytes


def _is_noscript(reply: Any) -> bool:
    return isinstance(reply, ServerReplyError) and reply.code == "NOSCRIPT"
