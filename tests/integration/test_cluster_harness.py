"""The cluster of the tests: nodes can be killed, stopped, failed over and resharded, and it heals."""

import pytest

from langcache_cli.caching._deployment.cluster.slots import SLOTS, NodeName, SlotMap, slot_of
from tests.harness.formed_servers import REPLACED_SECONDS
from tests.harness.polling import eventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.resp import RespConnection, RespError

KEYS = [
    "",
    "key",
    "{",
    "}",
    "{}",
    "{}key",
    "a{b}c",
    "a{b{c}d}e",
    "a{}{b}",
    "{b",
    "b}",
    "Größe{ß}",
    "cache:{7}:1",
]


@pytest.fixture
def away(redis_cluster):
    """A primary that does not own the slot of `moved`, which therefore can be moved there."""
    return next(node for node in redis_cluster.primaries if node is not redis_cluster.node_of("moved"))


def test_the_url_names_every_node_and_every_primary_has_a_replica(redis_cluster):
    hosts = redis_cluster.url.removeprefix("redis+cluster://").split(",")
    assert hosts == [f"127.0.0.1:{node.port}" for node in redis_cluster.nodes]
    primaries = redis_cluster.primaries
    replicas = [replica for primary in primaries for replica in redis_cluster.replicas_of(primary)]
    assert (len(primaries), len({*primaries, *replicas})) == (3, 6)


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_finds_the_shared_cluster_empty(redis_cluster, run):
    assert [node.command("DBSIZE") for node in redis_cluster.nodes] == [0] * 6
    for number in range(20):
        redis_cluster.command("SET", f"left over {number}", run)


def test_a_flush_drops_clients_and_closes_open_slots(redis_cluster, away):
    def fail():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        redis_cluster.migrate(slot_of("moved"), away, pause=fail)
    assert b"[" in away.command("CLUSTER", "NODES")
    with away.connect() as left_over:
        redis_cluster.flush()
        assert left_over.closed_by_peer()
    assert all(b"[" not in node.command("CLUSTER", "NODES") for node in redis_cluster.nodes)


def test_commands_reach_the_node_of_their_key(redis_cluster):
    nodes = {redis_cluster.node_of(str(number)) for number in range(50)}
    assert nodes == set(redis_cluster.primaries)
    for number in range(50):
        redis_cluster.command("SET", number, f"value {number}")
        assert redis_cluster.node_of(str(number)).command("GET", number) == b"value %d" % number
    with pytest.raises(RespError, match="CROSSSLOT"):
        redis_cluster.command("MGET", "1", "2")


def test_our_slots_are_those_of_the_server(redis_cluster):
    keys = [*KEYS, *(f"cache:{number}:{{{number % 9}}}" for number in range(300))]
    with redis_cluster.nodes[0].connect() as connection:
        assert [connection.call("CLUSTER", "KEYSLOT", key) for key in keys] == [*map(slot_of, keys)]


def test_our_map_of_slots_is_the_clusters(redis_cluster):
    slots = SlotMap.parse(redis_cluster.nodes[0].command("CLUSTER", "SLOTS"), "127.0.0.1")
    ids = {node: node.command("CLUSTER", "MYID").decode() for node in redis_cluster.nodes}
    names = {node: NodeName("127.0.0.1", node.port, ids[node]) for node in redis_cluster.nodes}
    assert slots.primaries == tuple(sorted(names[node] for node in redis_cluster.primaries))
    for slot in (0, 5461, SLOTS - 1):
        assert slots.owner(slot) == names[redis_cluster.owner(slot)]


def test_a_slot_moves_key_by_key_and_commands_follow(redis_cluster, away):
    source = redis_cluster.node_of("moved")
    keys = [f"{{moved}}{number}" for number in range(3)]
    for key in keys:
        redis_cluster.command("SET", key, "value")
    seen = []

    def look():
        seen.append(source.command("DBSIZE"))
        assert [redis_cluster.command("GET", key) for key in keys] == [b"value"] * 3

    assert redis_cluster.migrate(slot_of("moved"), away, pause=look) == 3
    assert seen == [3, 2, 1, 0]
    assert redis_cluster.node_of("moved") is away
    with pytest.raises(RespError, match="MOVED"):
        source.command("GET", keys[0])
    assert [redis_cluster.command("GET", key) for key in keys] == [b"value"] * 3


def test_a_failover_hands_the_slots_to_a_replica(redis_cluster):
    primary = redis_cluster.node_of("key")
    redis_cluster.command("SET", "key", "value")
    successor = redis_cluster.failover(primary)
    assert redis_cluster.node_of("key") is successor
    assert redis_cluster.command("GET", "key") == b"value"
    redis_cluster.settle()
    assert redis_cluster.replicas_of(successor) == [primary]


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(redis_cluster):
    primary = redis_cluster.node_of("key")
    redis_cluster.command("SET", "key", "value")
    redis_cluster.kill(primary)
    with pytest.raises(ConnectionRefusedError):
        primary.command("PING")
    slot = slot_of("key")
    eventually(lambda: redis_cluster.has_another_owner(slot, primary), within=REPLACED_SECONDS)
    redis_cluster.settle()
    assert redis_cluster.command("GET", "key") == b"value"
    redis_cluster.start(primary)
    redis_cluster.settle()
    assert primary in redis_cluster.replicas_of(redis_cluster.node_of("key"))


def test_a_stopped_primary_answers_nothing_and_is_replaced(redis_cluster):
    primary = redis_cluster.node_of("key")
    redis_cluster.stop(primary)
    with RespConnection(primary.port, timeout=0.1) as client, pytest.raises(TimeoutError):
        client.call("PING")
    slot = slot_of("key")
    eventually(lambda: redis_cluster.has_another_owner(slot, primary), within=REPLACED_SECONDS)
    redis_cluster.cont(primary)
    redis_cluster.settle()
    assert primary not in redis_cluster.primaries


def test_a_closed_cluster_leaves_no_process_and_no_folder():
    cluster = RedisCluster(replicas=0)
    with cluster:
        assert [len(cluster.primaries), len(cluster.nodes)] == [3, 3]
    assert not any(node.running or node.directory.exists() for node in cluster.nodes)
