"""Finding the primary through sentinels whose answers are made up: who is right when they differ."""

import asyncio
from typing import Any

import pytest

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._deployment.sentinel.reply import Primary, SentinelError
from langcache_cli.caching._errors import ServerReplyError
from tests.unit.scripted_sentinels import (
    HANGS,
    NEW,
    NOPERM,
    OLD,
    REPLICA,
    Fleet,
    sentinel,
)

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


async def test_a_failover_drops_the_links_to_the_old_primary_alone(caplog):
    fleet = Fleet(sentinel(OLD))
    sentinels = fleet.sentinels()
    first = await sentinels.connect(RedisAddress.parse("redis://h"))
    sentinels.notice(OLD)
    sentinels.notice(Primary(3, "10.0.0.9", 9))  # one that slept
    assert first.alive
    assert caplog.messages == []
    sentinels.notice(NEW)
    sentinels.notice(NEW)
    assert not first.alive
    assert caplog.messages == [
        "the primary of 'cache' is 10.0.0.2:2 now; the connections to the one before are dropped"
    ]


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
