"""Sentinels and servers whose answers are made up, behind the `Connect` that the core is given."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hiredis

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.sentinel.reply import Primary
from langcache_cli.caching._deployment.sentinel.sentinels import Sentinels
from langcache_cli.caching._errors import ConnectionLostError, ServerReplyError
from langcache_cli.caching._wire.connection import Receiver
from langcache_cli.caching._wire.server_identity import ServerIdentity

HANGS = object()
PRIMARY = ServerIdentity("run")
REPLICA = ServerIdentity("run", is_replica=True)
NOPERM = ServerReplyError("NOPERM this user has no permissions to run the command")

Answer = Callable[[tuple[str, ...]], Any]


@dataclass(eq=False)
class Link:
    """A connection that answers by a function. `SUBSCRIBE` is answered by no reply, as under RESP3."""

    answer: Answer
    server: ServerIdentity | None = PRIMARY
    alive: bool = True
    pushes: list[Callable[[list[Any]], object]] = field(default_factory=list)
    at_end: list[Callable[[], object]] = field(default_factory=list)
    extra: list[Receiver] = field(default_factory=list)

    def send(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        if not self.alive:
            raise ConnectionLostError("it has ended")
        reader, waiting = hiredis.Reader(), list(receivers)
        reader.feed(encoded)
        if not encoded:
            self.extra += waiting
        while (command := reader.gets()) is not False:
            reply = self.answer(tuple(word.decode() for word in command))
            if reply is HANGS or (command[0] == b"SUBSCRIBE" and not isinstance(reply, Exception)):
                continue
            (waiting or self.extra).pop(0)(reply)

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        self.pushes.append(on_push)
        self.at_end.append(on_end)

    def call_at_end(self, on_end: Callable[[], object]) -> None:
        self.at_end.append(on_end)

    def abort(self) -> None:
        if self.alive:
            self.alive = False
            for end in self.at_end:
                end()


def sentinel(view: Any, *, current: Any = None, rest: Any = b"PONG") -> Answer:
    """A sentinel that names this primary; `current` is its answer to GET-MASTER-ADDR-BY-NAME."""

    def answer(command: tuple[str, ...]) -> Any:
        named = view() if callable(view) else view
        if command[0] != "SENTINEL":
            return rest
        if not isinstance(named, Primary):
            return named
        if command[1] == "MASTER":
            facts = {"name": "cache", "ip": named.host, "port": named.port, "config-epoch": named.epoch}
            return [str(word).encode() for pair in facts.items() for word in pair]
        return current or [named.host.encode(), str(named.port).encode()]

    return answer


class Fleet:
    """Sentinels s0, s1, ... by their answers, and servers that are all primaries unless said otherwise."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.servers: dict[int, ServerIdentity | None] = {}
        self.role: Any = [b"master"]
        self.links: list[tuple[RedisAddress, Link]] = []

    async def connect(self, address: RedisAddress) -> Link:
        if not address.host.startswith("s"):
            link = Link(lambda _: self.role, server=self.servers.get(address.port, PRIMARY))
        else:
            answer = self.answers[int(address.host[1:])]
            if isinstance(answer, Exception):
                raise answer
            if answer is HANGS:
                await asyncio.Event().wait()
            link = Link(answer)
        self.links.append((address, link))
        return link

    def sentinels(self, *, timeout: float = 5.0, watched: bool = False, login: str = "") -> Sentinels:
        hosts = ",".join(f"s{number}" for number in range(len(self.answers)))
        target = RedisTarget.parse(f"redis+sentinel://{hosts}/cache{login}")
        self.address = target.server
        return Sentinels(target, self.connect, timeout=timeout, watched=watched)

    def open(self, kind: str) -> list[Link]:
        return [link for address, link in self.links if link.alive and address.host.startswith(kind)]


OLD, NEW = Primary(4, "10.0.0.1", 1), Primary(5, "10.0.0.2", 2)


async def end(sentinels: Sentinels) -> None:
    tasks = sentinels.abandon()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
