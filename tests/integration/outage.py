"""Outages of a server behind a proxy, and what the tests of them share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tests.harness.proxy import FaultProxy
from tests.harness.redis_server import RedisServer

BUDGET = 0.25
MARGIN = 3.0  # of a machine that does other things too; without a bound it takes longer, or for ever
CALLS = 100


@dataclass
class Outage:
    """A server behind a proxy; `fault()` breaks it, `heal()` mends it."""

    server: RedisServer
    proxy: FaultProxy
    name: str

    def fault(self) -> None:
        FAULTS[self.name](self)

    def heal(self) -> None:
        self.proxy.heal()
        REMEDIES.get(self.name, lambda _: None)(self)

    def refuse(self) -> None:
        self.proxy.refuse()
        self.proxy.cut()

    def password(self, password: str) -> None:
        self.server.command("CONFIG", "SET", "requirepass", password)
        self.server.password = password or None
        self.proxy.cut()

    def lose_primary(self, serve_stale_data: str) -> None:
        self.server.command("CONFIG", "SET", "replica-serve-stale-data", serve_stale_data)
        self.server.command("REPLICAOF", "127.0.0.1", "1")

    def be_primary(self) -> None:
        self.server.command("REPLICAOF", "NO", "ONE")

    def maxmemory(self, size: int) -> None:
        self.server.command("CONFIG", "SET", "maxmemory", size)

    def allow(self, *rules: str) -> None:
        self.server.command("ACL", "SETUSER", "default", *rules)


FAULTS: dict[str, Callable[[Outage], object]] = {
    "refused": Outage.refuse,
    "killed": lambda o: o.server.kill(),
    "stopped": lambda o: o.server.pause(),
    "deaf": lambda o: o.proxy.swallow(),
    "mute": lambda o: o.proxy.swallow_replies(),
    "slow": lambda o: o.proxy.delay(30.0),
    "dripping": lambda o: o.proxy.slow_drip(1),
    "password changed": lambda o: o.password("another"),
    "read-only replica": lambda o: o.lose_primary("yes"),
    "replica without data": lambda o: o.lose_primary("no"),
    "out of memory": lambda o: o.maxmemory(1),
    "no permission": lambda o: o.allow("-@all", "+acl", "+ping"),
    "read permission only": lambda o: o.allow("-@all", "+acl", "+mget"),
    "none": lambda o: None,
}
REMEDIES: dict[str, Callable[[Outage], object]] = {
    "killed": lambda o: o.server.start(),
    "stopped": lambda o: o.server.resume(),
    "password changed": lambda o: o.password(""),
    "read-only replica": Outage.be_primary,
    "replica without data": Outage.be_primary,
    "out of memory": lambda o: o.maxmemory(0),
    "no permission": lambda o: o.allow("+@all"),
    "read permission only": lambda o: o.allow("+@all"),
}
SILENT = ["stopped", "deaf", "mute", "slow", "dripping"]
GONE = ["refused", "killed", "password changed", "replica without data"]
REFUSING = ["read-only replica", "out of memory", "no permission", "read permission only"]
ALL = [*SILENT, *GONE, *REFUSING]


def url_of(outage: Outage) -> str:
    return f"redis://127.0.0.1:{outage.proxy.port}/0"


async def timed(read, item):
    """The value and the seconds it took."""
    clock = asyncio.get_running_loop().time
    started = clock()
    value = await read(item)
    return value, clock() - started


async def is_hit(database, item):
    before = database.reads[item]
    return await database.read(item) == [item, database.versions[item]] and database.reads[item] == before


async def opens_breaker(database, breaker):
    await database.read(10_000)
    return breaker.open
