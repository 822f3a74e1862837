"""What an entry of a cluster in memory relies on: nodes that answer when a test says so."""

import asyncio
from types import SimpleNamespace

import pytest

from langcache_cli.caching._deployment.cluster.slots import SLOTS, slot_of
from langcache_cli.caching._deployment.cluster.turn import KEYS_PER_TURN, Wanted
from langcache_cli.caching._deployment.server import LOOKUPS_AT_ONCE
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._near import cluster, follower, tracking
from langcache_cli.caching._near.cluster import SLICE, ClusterNear
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from langcache_cli.caching._near.memory import NearMemory
from langcache_cli.caching._near.tracking import HEARTBEAT_SECONDS, NearFill
from tests.unit.scripted_nodes import Connection, Nodes

START = 1000.0
LATE = 0.8 * MAX_LAG_SECONDS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=START)
    for module in (cluster, follower):
        monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
async def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
async def near(clock, nodes, monkeypatch):
    monkeypatch.setattr(tracking, "SUPPORTS_PUSH", True)  # these connections do, also beside an old hiredis
    near = ClusterNear(NearMemory(10_000_000), "cache", nodes)
    for place in (0, 1):
        near.start_tracking(nodes.connection(place))
        await nodes.connection(place).answer("CLIENT")
    yield near
    near.stop()


@pytest.fixture
def keys(nodes) -> tuple[str, str]:
    """An entry on the first node, and its tag on the second."""
    return nodes.name(0), nodes.name(1, "cache@tag:t")


def filled(near: ClusterNear, keys: tuple[str, ...], fill: NearFill | None = None) -> None:
    fill = fill or near.start_fill(keys)
    assert fill is not None
    near.keep(keys, b"[1]", [1], fill, expires_at=START + 60, codec=None)


def served(near: ClusterNear, key: str, at: float = START) -> bool:
    return near.get(key, at) is not None


async def test_the_ttl_is_asked_of_the_node_of_the_entry_in_front_of_the_look_up(near, nodes, keys):
    fill = near.start_fill(keys)
    for place, key in enumerate(keys):
        nodes.both[place].get([Wanted(key, SimpleNamespace(one_settled=lambda: None))])
    ((encoded, receivers),) = nodes.connection(0).sent
    key = keys[0].encode()
    assert encoded.split() == [
        *(b"*2", b"$4", b"PTTL", b"$%d" % len(key), key),
        *(b"*2", b"$3", b"GET", b"$%d" % len(key), key),
    ]
    assert len(receivers) == 2
    receivers[0](60_000)
    assert await fill.ttl == [60_000]
    ((encoded, _),) = nodes.connection(1).sent
    assert encoded.count(b"*") == 1


async def test_what_no_look_up_follows_is_not_collected_for_ever(near, nodes, keys):
    for _ in range(3 * LOOKUPS_AT_ONCE * KEYS_PER_TURN):
        assert near.start_fill(keys) is not None
    assert len(nodes.both[0]._ahead) <= LOOKUPS_AT_ONCE * KEYS_PER_TURN


async def test_an_entry_is_served_while_both_nodes_are_proven(near, nodes, clock, keys):
    filled(near, keys)
    clock.now += LATE
    assert served(near, keys[0], clock.now)  # and asks for a sign of life
    filled(near, (nodes.name(1),))  # proves the second node, and not the first
    assert not served(near, keys[0], START + 1.5 * MAX_LAG_SECONDS)
    await nodes.connection(0).answer("EXISTS", 0)
    assert served(near, keys[0], START + 1.5 * MAX_LAG_SECONDS)
    assert not served(near, keys[0], START + LATE + 1.01 * MAX_LAG_SECONDS)


async def test_a_sign_of_life_proves_from_when_it_was_asked_for(near, nodes, clock, keys):
    filled(near, (keys[0],))
    assert served(near, keys[0])
    clock.now += LATE
    await nodes.connection(0).answer("EXISTS", 0)
    assert not served(near, keys[0], START + 1.01 * MAX_LAG_SECONDS)


async def test_it_is_asked_for_with_a_key_of_the_node(near, nodes, keys):
    filled(near, keys)
    assert served(near, keys[0])
    for place in (0, 1):
        (name,) = nodes.connection(place).asked("EXISTS")
        assert name.startswith("cache@beat:")
        assert nodes.node_of(name) is nodes.both[place]


async def test_of_a_node_without_slots_there_is_no_key(near, nodes, keys):
    filled(near, keys)
    nodes.slots[:] = [nodes.both[1]] * SLOTS
    assert served(near, keys[0])
    assert nodes.connection(0).asked("EXISTS") == []


@pytest.mark.parametrize("error", ["MOVED 1 127.0.0.1:7001", "ASK 1 127.0.0.1:7001", "CLUSTERDOWN"])
async def test_a_node_that_contradicts_is_believed_no_more(near, nodes, keys, error):
    other = nodes.name(1)
    filled(near, keys)
    filled(near, (other,))
    under_way = near.start_fill((keys[0],))
    assert served(near, keys[0])
    await nodes.connection(0).answer("EXISTS", ServerReplyError(error))
    assert not served(near, keys[0])
    assert served(near, other)
    assert nodes.refreshed == [nodes.both[0]]
    filled(near, (keys[0],), under_way)
    assert not served(near, keys[0])
    filled(near, keys)
    await asyncio.sleep(2 * HEARTBEAT_SECONDS)
    assert served(near, keys[0])
    await asyncio.sleep(2 * HEARTBEAT_SECONDS)
    first, second, *_ = nodes.connection(0).asked("EXISTS")
    assert first != second  # the slot of the first may be on its way


async def test_a_silent_node_is_not_asked(near, nodes, keys):
    filled(near, keys)
    nodes.both[0].heard_at = float("-inf")
    assert served(near, keys[0])
    assert nodes.connection(0).asked("EXISTS") == []
    assert len(nodes.connection(1).asked("EXISTS")) == 1


@pytest.mark.parametrize("late", [0.0, 1.1 * MAX_LAG_SECONDS])
async def test_a_sign_of_life_in_time_is_one_of_the_node(near, nodes, clock, keys, late):
    filled(near, keys)
    assert served(near, keys[0])
    before = nodes.both[0].heard_at = float("-inf")
    clock.now += late
    await nodes.connection(0).answer("EXISTS", 0)
    assert (nodes.both[0].heard_at > before) == (late == 0.0)


async def test_none_is_asked_for_while_one_is_awaited(near, nodes, keys):
    filled(near, keys)
    assert served(near, keys[0])
    await asyncio.sleep(1.5 * HEARTBEAT_SECONDS)
    assert served(near, keys[0])
    await asyncio.sleep(2 * HEARTBEAT_SECONDS)
    assert len(nodes.connection(0).asked("EXISTS")) == 1


@pytest.mark.parametrize("event", ["handover", "flush", "lost"])
async def test_what_relied_on_a_node_is_gone(near, nodes, keys, event):
    first, second = nodes.name(0, "cache:a"), nodes.name(1, "cache:b")
    for names in (keys, (first,), (second,)):
        filled(near, names)
    under_way = near.start_fill(keys), near.start_fill((second,))
    match event:
        case "handover":
            nodes.on_handover([nodes.both[1], None])
        case "flush":
            nodes.connection(1).push([b"invalidate", None])
        case "lost":
            nodes.connection(1).end()
    assert [served(near, key) for key in (keys[0], first, second)] == [False, True, False]
    for names, fill in zip((keys, (second,)), under_way, strict=True):
        filled(near, names, fill)
    assert [served(near, key) for key in (keys[0], first, second)] == [False, True, False]


async def test_nothing_is_kept_before_the_node_pushes_changes(near, nodes, keys):
    connection = Connection()
    nodes.both[1].node.connection = connection
    nodes.both[1].latest = connection
    assert near.start_fill(keys) is None  # the new connection is not followed
    near.start_tracking(connection)
    assert near.start_fill(keys) is None
    await connection.answer("CLIENT")
    assert near.start_fill(keys) is not None


async def test_a_server_that_refuses_is_not_followed(near, nodes, keys, caplog):
    connection = Connection()
    nodes.both[1].node.connection = nodes.both[1].latest = connection
    near.start_tracking(connection)
    await connection.answer("CLIENT", b"OK", ServerReplyError("NOPERM"))
    assert near.start_fill(keys) is None
    assert near.start_fill(keys[:1]) is not None
    assert [record.getMessage() for record in caplog.records if "NOPERM" in record.getMessage()]


async def test_nothing_is_kept_of_slots_without_a_node(near, nodes, keys):
    nodes.slots[slot_of(keys[1])] = None
    assert near.start_fill(keys) is None
    assert near.start_fill(keys[:1]) is not None


async def test_a_connection_of_no_node_is_not_followed(near):
    connection = Connection()
    near.start_tracking(connection)
    assert connection.requests == []


async def test_a_message_that_names_many_keys_is_read_in_slices(near, nodes, keys):
    first, second = nodes.name(0, "cache:a"), nodes.name(1, "cache:b")
    for names in (keys, (first,), (second,)):
        filled(near, names)
    under_way = near.start_fill((second,))
    many = [f"cache:{n}".encode() for n in range(3 * SLICE)]
    nodes.connection(1).push([b"invalidate", [*many, keys[1].encode(), second.encode()]])
    assert [served(near, key) for key in (keys[0], first, second)] == [False, True, False]
    filled(near, (second,), under_way)
    assert not served(near, second)
    assert near.memory.generation == 1
    filled(near, (second,))
    for _ in range(3):
        await asyncio.sleep(0)
    assert near.memory.generation == 4
    assert [served(near, key) for key in (keys[0], first, second)] == [False, True, False]


async def test_after_the_end_nothing_is_served(near, nodes, keys):
    filled(near, keys)
    under_way = near.start_fill(keys)
    near.stop()
    filled(near, keys, under_way)
    assert not served(near, keys[0])
    assert near.start_fill(keys) is None
