"""Nothing of the namespace is in the database that REDIS_URL names: what a bounded look finds elsewhere."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from langcache_cli.caching import ServerReplyError
from langcache_cli.caching.tooling import RedisAddress, ask, connect
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.server.unreachable import setting_of
from langcache_cli.operations.diagnosis.server_facts import ServerFacts

DRAWS: Final = 200
"""Keys that are drawn at random from each database."""
MOST_DATABASES: Final = 8

ENTRY: Final = b"lc1 "
"""What each entry begins with."""
_DATABASE: Final = re.compile(r"db([0-9]+)")
_OWNER: Final = re.compile(rb"([A-Za-z0-9_.-]{1,64})(:|@(?:tag|stats):)")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What was found.

    Attributes:
        keys: How many keys each database of the server has, by number; empty ones are not there.
        namespaces: For each database that was looked at, how many keys of a cache of each namespace were
            among those drawn.
    """

    keys: Mapping[int, int] = field(default_factory=dict)
    namespaces: Mapping[int, Counter[str]] = field(default_factory=dict)


async def look_elsewhere(server: ServerFacts) -> Elsewhere:
    """Draw keys from the databases of a server. It has no time limit of its own.

    Args:
        server: Was asked ``INFO``.

    A database that may not be selected is left out.

    Raises:
        OSError: The server does not answer any more.
    """
    keys = {
        int(match[1]): int(re.sub(r"^keys=([0-9]+).*", r"\1", value))
        for name, value in server.info.items()
        if (match := _DATABASE.fullmatch(name)) and value.startswith("keys=")
    }
    numbers = sorted(keys, key=lambda number: (number != server.address.db, -keys[number]))
    found = await asyncio.gather(*[_drawn(replace(server.address, db=db)) for db in numbers[:MOST_DATABASES]])
    return Elsewhere(keys, dict(zip(numbers, found, strict=False)))


def elsewhere(found: Elsewhere, address: RedisAddress, namespace: str, *, is_one: bool) -> Iterator[Finding]:
    """Where the entries may be that are not here.

    Args:
        found: What a look has found.
        address: What ``REDIS_URL`` names.
        namespace: The namespace, of which nothing is in that database.
        is_one: True if ``REDIS_URL`` names one server.
    """
    nothing = f"database {address.db} of {address.where} holds nothing of the namespace {namespace}"
    same = [db for db, names in found.namespaces.items() if names[namespace] and db != address.db]
    if same:
        yield Finding(
            "database-other",
            "warning",
            f"{nothing}; {_databases(same)} {'holds' if len(same) == 1 else 'hold'} keys of it",
            "Another database is warmed or used by the application: here every call is a miss.",
            _url(address, same[0]) if is_one else f"End REDIS_URL with /{same[0]}",
            (address.where,),
        )
        return
    others = [
        (count, db, name)
        for db, names in found.namespaces.items()
        for name, count in names.items()
        if name != namespace
    ]
    if others:
        _, db, name = max(others, key=lambda one: (one[1] == address.db, one[0]))
        place = "it" if db == address.db else f"database {db}"
        other = _url(address, db) if is_one else f"and end REDIS_URL with /{db}"
        yield Finding(
            "namespace-other",
            "warning",
            f"{nothing}; {place} holds keys of a cache of the namespace {name}",
            f"If your application uses the namespace {name}, this command looks at the wrong one.",
            f"LANGCACHE_NAMESPACE={name} (now: {namespace}){'' if db == address.db else f' {other}'}",
            (address.where,),
        )


async def _drawn(address: RedisAddress) -> Counter[str]:
    """How many keys of each namespace are among some of a database; only those that are surely of a cache."""
    try:
        connection = await connect(address)
    except ServerReplyError:
        return Counter()
    try:
        replies = await ask(connection, [("RANDOMKEY",)] * DRAWS)
        keys = list(dict.fromkeys(reply for reply in replies if isinstance(reply, bytes)))
        heads = await ask(connection, [("GETRANGE", key, 0, len(ENTRY) - 1) for key in keys]) if keys else []
    finally:
        connection.abort()
    return Counter(owners(zip(keys, heads, strict=True)))


def owners(drawn: Iterable[tuple[bytes, object]]) -> Iterator[str]:
    """The namespaces of keys that are surely of a cache, given the beginnings of their values."""
    for key, head in drawn:
        match = _OWNER.match(key)
        if match and (match[2] != b":" or head == ENTRY):
            yield match[1].decode("ascii")


def _url(address: RedisAddress, db: int) -> str:
    return setting_of(replace(address, db=db))


def _databases(numbers: list[int]) -> str:
    return f"database{'s' if len(numbers) > 1 else ''} {', '.join(map(str, sorted(numbers)))}"
