"""Finding the primary through sentinels whose answers are made up: who is right when they differ."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hiredis
import pytest

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._errors import ConnectionLostError, ServerReplyError
from langcache_cli.caching._wire.connection import Receiver
from langcache_cli.caching._wire.sentinel import watch
from langcache_cli.caching._wire.sentinel.reply import Primary, SentinelError
from langcache_cli.caching._wire.sentinel.sentinels import Sentinels
from langcache_cli.caching._wire.server_identity import ServerIdentity
from tests.harness.polling import aeventually

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


# -- who is right --


@pytest.mark.parametrize("views", [(OLD, NEW, OLD), (NEW, OLD, NEW), (OLD, NEW), (NEW,)])
async def test_the_highest_epoch_of_a_majority_counts(views):
    assert await Fleet(*map(sentinel, views)).sentinels().resolve() == NEW


async def test_a_sentinel_that_leads_the_failover_names_the_new_address_by_another_command():
    leading = sentinel(OLD._replace(epoch=5), current=[b"10.0.0.2", b"2"])
    assert await Fleet(leading, sentinel(OLD), HANGS).sentinels().resolve() == NEW


async def test_without_the_right_to_that_command_the_other_one_counts():
    assert await Fleet(sentinel(NEW, current=NOPERM)).sentinels().resolve() == NEW


async def test_a_majority_is_not_kept_waiting_by_the_others():
    fleet = Fleet(sentinel(OLD), HANGS, sentinel(OLD))
    async with asyncio.timeout(0.05):
        assert await fleet.sentinels().resolve() == OLD
    assert fleet.open("s") == []


async def test_the_only_one_that_answers_counts_after_a_while():
    assert await Fleet(HANGS, sentinel(OLD), HANGS).sentinels().resolve() == OLD


async def test_an_epoch_that_was_seen_is_not_given_up_for_an_older_one():
    views = [NEW, NEW]
    sentinels = Fleet(*(sentinel(lambda one=one: views[one]) for one in range(2))).sentinels()
    assert await sentinels.resolve() == NEW
    views[:] = [OLD, OLD]
    with pytest.raises(SentinelError, match="do not agree yet which server is 'cache'"):
        await sentinels.resolve()
    views[0] = NEW
    assert await sentinels.resolve() == NEW
    views[:] = [OLD, OLD]
    sentinels._believed_until = 0.0  # nothing has confirmed it for long: the service was set up anew
    assert await sentinels.resolve() == OLD


# -- what is said when there is no way --


@pytest.mark.parametrize(
    ("answers", "login", "says"),
    [
        ([ConnectionRefusedError("refused")] * 3, "", "none of 3 sentinels answers: refused"),
        ([HANGS], "", "none of 1 sentinel answers in time"),
        ([HANGS, OSError("no route")], "", "none of 2 sentinels answers: no route"),
        ([ServerReplyError("NOAUTH Authentication required.")], "", r"add \?sentinel_password=\.\.\."),
        (
            [ServerReplyError("WRONGPASS invalid")],
            "?sentinel_password=x",
            "check sentinel_username, sentinel_pass",
        ),
        (
            [ServerReplyError("ERR AUTH <password> called without")],
            "?sentinel_password=x",
            "remove sentinel_pass",
        ),
        (
            [ServerReplyError("ERR max number of clients")],
            "",
            "the sentinel s0:26379 refuses: ERR max number",
        ),
        ([sentinel(NOPERM)], "", "refuses: NOPERM"),
        ([sentinel(ServerReplyError("ERR unknown command 'SENTINEL'"))], "", "a Redis answers there"),
        ([sentinel([b"nonsense"])], "", "cannot be understood"),
        ([sentinel(b"nonsense")], "", "cannot be understood"),
        ([HANGS, ConnectionRefusedError("refused"), sentinel(NOPERM)], "", "refuses: NOPERM"),
    ],
)
async def test_a_problem_says_what_to_change(answers, login, says):
    with pytest.raises(SentinelError, match=says):
        await Fleet(*answers).sentinels(timeout=0.05, login=login).resolve()


@pytest.mark.parametrize(
    ("services", "says"),
    [
        ([[b"name", b"b"], {b"name": b"a"}], "know no service 'cache'; they know 'a', 'b'"),
        ([], "know no service 'cache'; they know none"),
        (NOPERM, "know no service 'cache'$"),
    ],
)
async def test_an_unknown_service_is_named_with_those_that_there_are(services, says):
    def answer(command: tuple[str, ...]) -> Any:
        return services if command[1] == "MASTERS" else ServerReplyError("ERR No such master with that name")

    with pytest.raises(SentinelError, match=says):
        await Fleet(answer).sentinels().resolve()


# -- connecting --


async def test_a_connection_leads_to_the_primary_that_is_named():
    fleet = Fleet(sentinel(OLD))
    link = await fleet.sentinels().connect(RedisAddress.parse("redis://u:pw@h:1/3"))
    address = next(address for address, one in fleet.links if one is link)
    assert (address.host, address.port, address.db, address.password) == ("10.0.0.1", 1, 3, "pw")
    assert fleet.open("s") == []


async def test_a_replica_is_not_connected():
    fleet = Fleet(sentinel(OLD))
    fleet.servers[1] = REPLICA
    with pytest.raises(
        SentinelError, match=r"10\.0\.0\.1:1 is the primary of 'cache' by its sentinels, and none"
    ):
        await fleet.sentinels().connect(fleet.sentinels()._sentinels[0])
    assert fleet.open("10") == []


@pytest.mark.parametrize(("role", "ok"), [([b"master"], True), ([b"slave"], False), (NOPERM, True)])
async def test_a_server_that_does_not_say_what_it_is_is_asked_for_its_role(role, ok):
    fleet = Fleet(sentinel(OLD))
    fleet.servers[1], fleet.role = None, role
    connecting = fleet.sentinels().connect(RedisAddress.parse("redis://h"))
    if ok:
        assert (await connecting).alive
    else:
        with pytest.raises(SentinelError, match="and none yet"):
            await connecting
    assert len(fleet.open("10")) == ok


async def test_a_failover_drops_the_links_to_the_old_primary_alone():
    fleet = Fleet(sentinel(OLD))
    sentinels = fleet.sentinels()
    first = await sentinels.connect(RedisAddress.parse("redis://h"))
    sentinels.notice(OLD)
    sentinels.notice(Primary(3, "10.0.0.9", 9))  # one that slept
    assert first.alive
    sentinels.notice(NEW)
    assert not first.alive


async def test_a_failover_while_connecting_is_noticed():
    fleet = Fleet(sentinel(OLD))
    fleet.servers[1] = None
    sentinels = fleet.sentinels()

    class Role(list[bytes]):
        def __getitem__(self, index: Any) -> Any:
            sentinels.notice(NEW)
            return super().__getitem__(index)

    fleet.role = Role([b"master"])
    with pytest.raises(SentinelError, match="was replaced while it was being connected"):
        await sentinels.connect(RedisAddress.parse("redis://h"))
    assert fleet.open("10") == []


# -- watching --


@pytest.fixture(params=["push", "no push", "refused"])
def way(request, monkeypatch):
    """How the sentinels let it be known: they push, hiredis is too old for that, or the user may not."""
    monkeypatch.setattr(watch, "SUPPORTS_PUSH", request.param != "no push")
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    return request.param


async def test_a_watch_notices_a_failover(way):
    view = [OLD]
    rest = NOPERM if way == "refused" else b"PONG"

    def one(command: tuple[str, ...]) -> Any:
        if command[0] == "SUBSCRIBE":
            return rest
        return sentinel(lambda: view[0])(command)

    fleet = Fleet(one, one, one)
    sentinels = fleet.sentinels(watched=True)
    link: Any = await sentinels.connect(RedisAddress.parse("redis://h"))
    await aeventually(lambda: len(fleet.open("s")) == 3)
    await asyncio.sleep(0)
    assert link.alive
    view[0] = NEW
    if way == "push":
        await aeventually(lambda: all(one.pushes for one in fleet.open("s")))
        fleet.open("s")[1].pushes[0]([b"message", b"+switch-master", b"cache 10.0.0.1 1 10.0.0.2 2"])
    await aeventually(lambda: not link.alive)
    await end(sentinels)
    assert fleet.open("s") == []


async def test_a_watch_that_lost_its_link_looks_again_and_compares():
    view = [OLD]
    fleet = Fleet(sentinel(lambda: view[0]))
    sentinels = fleet.sentinels(watched=True)
    link: Any = await sentinels.connect(RedisAddress.parse("redis://h"))
    await aeventually(lambda: fleet.open("s"))
    view[0] = NEW
    fleet.open("s")[0].abort()
    await aeventually(lambda: not link.alive)
    await aeventually(lambda: fleet.open("s"))
    await end(sentinels)


async def test_a_watch_outlives_a_sentinel_that_is_away():
    fleet = Fleet(sentinel(OLD), sentinel(OLD), ConnectionRefusedError("refused"))
    sentinels = fleet.sentinels(watched=True)
    await sentinels.connect(RedisAddress.parse("redis://h"))
    await aeventually(lambda: len(fleet.open("s")) == 2)
    fleet.answers = (*fleet.answers[:2], sentinel(OLD))
    await aeventually(lambda: len(fleet.open("s")) == 3)
    await end(sentinels)
    assert sentinels._watch is not None
    sentinels._watch.start()
    assert fleet.open("s") == []


async def test_nothing_is_watched_before_the_first_connection():
    fleet = Fleet(sentinel(OLD))
    sentinels = fleet.sentinels(watched=True)
    await sentinels.resolve()
    assert fleet.open("s") == []
    assert sentinels.abandon() == []


async def end(sentinels: Sentinels) -> None:
    tasks = sentinels.abandon()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
