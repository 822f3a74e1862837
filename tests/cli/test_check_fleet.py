"""``langcache check`` of a cluster and of a Sentinel set: a row for each node, what is wrong is named."""

from collections.abc import Callable, Iterator

import pytest

from tests.harness.cli import Run
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SentinelSet

PATIENT_MS = 60_000
"""No node is replaced while a test looks at it."""


@pytest.fixture(scope="module")
def _cluster() -> Iterator[RedisCluster]:
    with RedisCluster(3, replicas=1, node_timeout=PATIENT_MS) as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: RedisCluster) -> RedisCluster:
    """Three primaries with a replica each; none is replaced."""
    _cluster.flush()
    return _cluster


@pytest.fixture(scope="module")
def _sentinels() -> Iterator[SentinelSet]:
    with SentinelSet(down_after=PATIENT_MS, replicas=1) as sentinels:
        yield sentinels


@pytest.fixture
def sentinels(_sentinels: SentinelSet) -> SentinelSet:
    """A primary, a replica, three sentinels; the primary is not replaced."""
    _sentinels.flush()
    return _sentinels


@pytest.fixture
def check(call) -> Callable[..., Run]:
    return lambda url, *options: call("check", *options, env={"REDIS_URL": url})


def where(node: RedisServer) -> str:
    return f"127.0.0.1:{node.port}"


def rows(ended: Run) -> dict[str, list[str]]:
    """The cells of the table of nodes, by address."""
    table = ended.stdout.split("\n\n")[1]
    return {cells[1]: cells for line in table.splitlines()[1:] if (cells := line.split())}


def test_a_sound_cluster_has_a_row_for_each_node(cluster, check):
    ended = check(cluster.url)
    assert ended.code == 0, ended
    found = rows(ended)
    assert {*found} == {where(node) for node in cluster.nodes}
    for node in cluster.primaries:
        result, _, role, policy, _memory, unit_of_memory, *_, slots, latency, unit = found[where(node)]
        assert (result, role, policy, unit) == ("ok", "primary", "noeviction", "ms")
        assert unit_of_memory == "MB"
        assert int(slots.replace(",", "")) == len(cluster.slots_of(node))
        assert float(latency) > 0


def test_the_rows_are_in_the_document_with_units(cluster, check):
    document = check(cluster.url, "--json").document
    nodes = {node["address"]: node for node in document["nodes"]}
    assert {*nodes} == {where(node) for node in cluster.nodes}
    first = cluster.primaries[0]
    row = nodes[where(first)]
    assert row["result"] == "ok"
    assert row["role"] == "primary"
    assert row["slots"] == len(cluster.slots_of(first))
    assert 0 < row["latency_ms"] < 10_000
    assert row["used_memory_bytes"] > 0
    assert row["max_memory_bytes"] == 0
    assert row["eviction_policy"] == "noeviction"
    assert document["findings"] == []
    assert [one["name"] for one in document["checks"]] == ["redis", "cluster"]


def test_what_must_be_warm_is_looked_for_on_every_node(cluster, check):
    for number in range(30):
        key = f"cache:vocabulary:f:{number}"
        cluster.command("SET", key, "lc1 entry id=")
    ended = check(cluster.url, "--min-keys", "vocabulary=30", "--require-warm", "vocabulary", "--json")
    assert ended.code == 0
    assert check(cluster.url, "--min-keys", "vocabulary=31").code == 1
    assert check(cluster.url, "--require-warm", "translation").code == 1


def test_a_single_server_has_no_rows(redis_server, call):
    document = call("check", "--json", env={"REDIS_URL": redis_server.url}).document
    assert document["nodes"] == [] or len(document["nodes"]) > 1


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_dead_primary_is_named_with_the_replica_to_promote(how, cluster, check):
    node = cluster.primaries[0]
    replica = cluster.replicas_of(node)[0]
    getattr(cluster, how)(node)
    ended = check(cluster.url, "--timeout", "1")
    assert ended.code == 69
    assert f"the primary {where(node)} " in ended.stdout
    assert f"-p {replica.port} CLUSTER FAILOVER TAKEOVER" in ended.stdout
    assert rows(ended)[where(node)][0] == "failed"
    assert [line for line, cells in rows(ended).items() if cells[0] == "ok"] == [
        line for line in rows(ended) if line != where(node)
    ]


def test_a_dead_replica_fails_the_check_though_the_cache_works(cluster, check):
    primary = cluster.primaries[0]
    replica = cluster.replicas_of(primary)[0]
    cluster.kill(replica)
    ended = check(cluster.url)
    assert ended.code == 1
    assert f"the replica {where(replica)} cannot be reached" in ended.stdout
    assert f"the shard of {where(primary)} has no replica" in ended.stdout
    assert {rows(ended)[where(node)][0] for node in (primary, replica)} == {"warning", "failed"}


def test_a_shard_without_a_replica_is_named_and_no_failure(check):
    with RedisCluster(3, replicas=0) as cluster:
        ended = check(cluster.url)
    assert ended.code == 0
    for node in cluster.nodes:
        assert f"the shard of {where(node)} has no replica" in ended.stdout
    assert {cells[0] for cells in rows(ended).values()} == {"warning"}


def test_missing_slots_and_a_cluster_that_is_down_are_named(cluster, check):
    owner = cluster.owner(100)
    owner.command("CLUSTER", "DELSLOTS", 100, 101, 200)
    try:
        ended = check(cluster.url)
        document = check(cluster.url, "--json").document
    finally:
        owner.command("CLUSTER", "ADDSLOTS", 100, 101, 200)
    assert ended.code == 69
    assert "3 of 16,384 slots have no owner: 100-101, 200" in ended.stdout
    assert "redis-cli --cluster fix 127.0.0.1:" in ended.stdout
    assert "says cluster_state:fail" in ended.stdout
    assert {one["name"] for one in document["findings"]} == {"slots-missing", "cluster-state-fail"}


def test_a_sound_service_has_rows_of_the_primary_and_the_sentinels(sentinels, check):
    ended = check(sentinels.url)
    assert ended.code == 0, ended
    found = rows(ended)
    assert found[where(sentinels.nodes[0])][:4] == ["ok", where(sentinels.nodes[0]), "primary", "noeviction"]
    assert {cells[2] for name, cells in found.items() if name != where(sentinels.nodes[0])} == {"sentinel"}
    assert {where(sentinel) for sentinel in sentinels.sentinels} < {*found}


def test_a_sentinel_that_does_not_answer_is_named(sentinels, check):
    dead = sentinels.sentinels[1]
    sentinels.kill(dead)
    ended = check(sentinels.url)
    assert ended.code == 1
    assert f"the sentinel {where(dead)} cannot be asked" in ended.stdout
    assert rows(ended)[where(dead)][0] == "failed"
    assert "no majority" not in ended.stdout


def test_a_dead_primary_of_a_service_is_named(sentinels, check):
    primary = sentinels.nodes[0]
    sentinels.kill(primary)
    ended = check(sentinels.url)
    assert ended.code == 69
    assert where(primary) in ended.stdout
    assert rows(ended)[where(primary)][0] == "failed"
    for secret in (sentinels.password, sentinels.sentinel_password):
        assert secret not in ended.stdout + ended.stderr
