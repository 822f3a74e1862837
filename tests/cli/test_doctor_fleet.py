"""``langcache doctor`` with a cluster and with a Sentinel set: each finding, and what mends it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from tests.cli.cli_support import no_noise
from tests.cli.doctor_support import PATIENT, SOUND, findings, type_line, where
from tests.harness.cli import Run
from tests.harness.ports import bound
from tests.harness.redis_cluster import RedisCluster
from tests.harness.sentinels import SentinelSet

PATIENT_MS = 5_000
"""As long as `doctor` finds good; no node is replaced within a test."""


@pytest.fixture(scope="module")
def _cluster() -> Iterator[RedisCluster]:
    with RedisCluster(3, replicas=1, node_timeout=PATIENT_MS, config=SOUND) as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: RedisCluster) -> RedisCluster:
    """A cluster in which nothing is wrong."""
    _cluster.flush()
    for node in _cluster.nodes:  # not in redis.conf: without it a cluster says that it is formed too early
        node.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
    return _cluster


@pytest.fixture
def configure(cluster: RedisCluster) -> Iterator[Callable[..., None]]:
    """`configure(name, value)` on all nodes, until the test ends."""
    with ExitStack() as undo:

        def set_all(name: str, value: str) -> None:
            for node in cluster.nodes:
                before = node.command("CONFIG", "GET", name)[1]
                undo.callback(node.command, "CONFIG", "SET", name, before)
                node.command("CONFIG", "SET", name, value)

        yield set_all


@pytest.fixture(scope="module")
def _sentinels() -> Iterator[SentinelSet]:
    with SentinelSet(down_after=60_000, replicas=1) as sentinels:
        yield sentinels


@pytest.fixture
def sentinels(_sentinels: SentinelSet) -> SentinelSet:
    """A Sentinel set in which nothing is wrong; the primary is not replaced."""
    _sentinels.flush()
    for line in SOUND:
        _sentinels.nodes[0].command("CONFIG", "SET", *line.split())
    return _sentinels


@pytest.fixture
def doctor(call) -> Callable[..., Run]:
    return lambda url, *options: call("doctor", "--json", *(options or PATIENT), env={"REDIS_URL": url})


def test_nothing_is_wrong_with_a_sound_cluster(cluster, call):
    ended = call("doctor", *PATIENT, env={"REDIS_URL": cluster.url})
    assert ended.code == 0, ended
    assert ended.stdout.splitlines()[-1] == "Nothing is wrong."
    assert all(where(node) in ended.stdout for node in cluster.nodes)


SETTINGS = {
    "cluster-require-full-coverage": ("yes", "warning"),
    "cluster-allow-reads-when-down": ("yes", "error"),
    "cluster-node-timeout": ("15000", "warning"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_a_cluster_are_named_and_can_be_mended(setting, cluster, configure, doctor):
    value, severity = SETTINGS[setting]
    configure(setting, value)
    ended = doctor(cluster.url)
    assert ended.code == 1
    assert {*findings(ended)} == {setting}
    found = findings(ended)[setting]
    assert found["severity"] == severity
    assert {*found["addresses"]} == {where(node) for node in cluster.nodes}
    type_line(found["mend"], cluster.nodes)
    assert doctor(cluster.url).code == 0


@pytest.mark.parametrize(
    ("name", "line"),
    [("maxmemory-unset", "maxmemory 0"), ("eviction-policy", "maxmemory-policy noeviction")],
)
def test_memory_of_all_primaries_is_one_finding(name, line, cluster, configure, doctor):
    configure(*line.split())
    ended = doctor(cluster.url)
    assert ended.code == 1
    assert [one["name"] for one in ended.document["findings"]] == [name]
    assert findings(ended)[name]["addresses"] == [where(node) for node in cluster.primaries]
    type_line(findings(ended)[name]["mend"], cluster.nodes)
    assert doctor(cluster.url).code == 0


def test_open_slots_of_an_old_server(cluster, doctor):
    owner, other = cluster.owner(7), cluster.primaries[-1]
    other_id = other.command("CLUSTER", "MYID")
    owner.command("CLUSTER", "SETSLOT", 7, "MIGRATING", other_id)
    ended = doctor(cluster.url)
    owner.command("CLUSTER", "SETSLOT", 7, "STABLE")
    version = [int(part) for part in _version(owner).split(".")]
    assert ("open-slots" in findings(ended)) == (version < [7, 2])
    if version < [7, 2]:
        assert findings(ended)["open-slots"]["addresses"] == [where(owner)]
        assert f"--cluster fix {where(owner)}" in findings(ended)["open-slots"]["mend"]
        assert ended.code == 1


def test_without_the_right_to_config_it_says_what_it_could_not_see(cluster, doctor):
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-config")
    ended = doctor(cluster.url.replace("//", "//app:pw@"))
    assert ended.code == 0, ended
    found = findings(ended)
    assert {*found} == {"not-seen-config"}
    assert found["not-seen-config"]["severity"] == "note"
    assert "cluster-require-full-coverage, cluster-allow-reads-when-down" in found["not-seen-config"]["found"]
    assert "+config|get" in found["not-seen-config"]["mend"]


def test_without_the_right_to_ask_for_the_nodes(cluster, call, doctor):
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "blind", "on", ">pw", "~*", "&*", "+@all", "-cluster")
    url = cluster.url.replace("//", "//blind:pw@")
    ended = doctor(url)
    assert ended.code == 77
    found = findings(ended)["right-missing"]
    assert {*found["addresses"]} == {where(node) for node in cluster.nodes}
    assert "cluster" in found["found"]
    assert call("check", env={"REDIS_URL": url}).code == 77


def test_a_host_of_the_url_that_is_no_node(cluster, doctor):
    with bound(0) as gone:
        stranger = f"127.0.0.1:{gone.getsockname()[1]}"
        ended = doctor(f"{cluster.url},{stranger}")
    assert ended.code == 1
    assert findings(ended)["url-names-no-member"]["addresses"] == [stranger]


def test_a_dead_primary_and_a_dead_replica(cluster, doctor):
    primary = cluster.primaries[0]
    replica = cluster.replicas_of(primary)[0]
    cluster.kill(primary)
    as_primary = doctor(cluster.url)
    cluster.start(primary)
    cluster.flush()
    primary.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
    cluster.kill(replica)
    as_replica = doctor(cluster.url)
    assert as_primary.code == 69
    assert {*findings(as_primary)} == {"node-unreachable"}
    assert "CLUSTER FAILOVER TAKEOVER" in findings(as_primary)["node-unreachable"]["mend"]
    assert as_replica.code == 1
    assert {*findings(as_replica)} == {"node-unreachable", "replica-missing"}
    assert "--cluster del-node" in findings(as_replica)["node-unreachable"]["mend"]
    assert "--cluster add-node" in findings(as_replica)["replica-missing"]["mend"]


def test_missing_slots_and_a_cluster_that_is_down(cluster, configure, doctor):
    configure("cluster-require-full-coverage", "yes")
    owner = cluster.owner(100)
    owner.command("CLUSTER", "DELSLOTS", 100)
    ended = doctor(cluster.url)
    owner.command("CLUSTER", "ADDSLOTS", 100)
    assert ended.code == 69
    assert {"slots-missing", "cluster-state-fail"} <= {*findings(ended)}


def test_no_node_of_a_cluster_answers(doctor):
    with RedisCluster(1, replicas=0) as cluster:
        cluster.kill(cluster.nodes[0])
        ended = doctor(cluster.url)
    assert ended.code == 69
    assert findings(ended)["connection-refused"]["addresses"] == [where(cluster.nodes[0])]


def test_nothing_is_wrong_with_a_sound_sentinel_set(sentinels, doctor):
    ended = doctor(sentinels.url)
    assert ended.code == 0, ended
    assert [node["role"] for node in ended.document["nodes"]] == ["primary", *3 * ["sentinel"]]


def test_memory_of_the_primary_of_a_service(sentinels, doctor):
    sentinels.nodes[0].command("CONFIG", "SET", "maxmemory", "0")
    ended = doctor(sentinels.url)
    assert ended.code == 1
    assert findings(ended)["maxmemory-unset"]["addresses"] == [where(sentinels.nodes[0])]


def test_sentinels_that_do_not_answer_and_are_no_majority(sentinels, doctor):
    first, second, third = sentinels.sentinels
    sentinels.kill(first)
    one = doctor(sentinels.url)
    sentinels.kill(second)
    two = doctor(sentinels.url)
    sentinels.kill(third)
    three = doctor(sentinels.url)
    assert (one.code, two.code, three.code) == (1, 1, 69)
    assert {*findings(one)} == {"sentinel-unreachable"}
    assert findings(one)["sentinel-unreachable"]["addresses"] == [where(first)]
    assert "1 of 3 sentinels answer" in findings(two)["sentinels-no-majority"]["found"]
    assert "0 of 3 sentinels answer" in findings(three)["sentinels-no-majority"]["found"]


def test_sentinels_that_the_url_does_not_name_count_for_the_majority(sentinels, doctor):
    hosts = ",".join(where(sentinel) for sentinel in sentinels.sentinels)
    one = where(sentinels.sentinels[0])
    assert (
        "1 of 3 sentinels answer"
        in (findings(doctor(sentinels.url.replace(hosts, one)))["sentinels-no-majority"]["found"])
    )


def test_a_password_that_sentinels_or_their_primary_refuse(sentinels, call):
    def shown(secret: str) -> Run:
        url = sentinels.url.replace(secret, "wr0ng-secret")
        ended = call("doctor", env={"REDIS_URL": url})
        no_noise(ended)
        assert "wr0ng" not in ended.stdout + ended.stderr
        return ended

    of_sentinels, of_primary = shown(quote(sentinels.sentinel_password)), shown(quote(sentinels.password))
    assert of_sentinels.code == 69
    assert "check sentinel_username, sentinel_password in REDIS_URL" in of_sentinels.stdout
    assert of_primary.code == 77
    assert f"the primary {where(sentinels.nodes[0])} refused the user or password" in of_primary.stdout


def test_a_dead_primary_of_a_service(sentinels, doctor):
    sentinels.kill(sentinels.nodes[0])
    ended = doctor(sentinels.url)
    assert ended.code == 69
    assert findings(ended)["connection-refused"]["addresses"] == [where(sentinels.nodes[0])]


def test_a_primary_without_a_replica(doctor):
    with SentinelSet(replicas=0) as sentinels:
        ended = doctor(sentinels.url)
    assert ended.code == 1
    found = findings(ended)["replica-missing"]
    assert found["addresses"] == [where(sentinels.nodes[0])]
    assert f"REPLICAOF 127.0.0.1 {sentinels.nodes[0].port}" in found["mend"]


def _version(node: object) -> str:
    info = node.command("INFO", "server").decode()  # type: ignore[attr-defined]
    return next(line for line in info.splitlines() if line.startswith("redis_version:")).partition(":")[2]
