"""The Sentinel set of the tests: the primary can be killed, stopped and replaced, and the set heals."""

import pytest

from tests.harness.formed_servers import REPLACED_SECONDS
from tests.harness.polling import eventually
from tests.harness.resp import RespConnection, RespError
from tests.harness.sentinels import PASSWORD, SENTINEL_PASSWORD, SERVICE


def test_the_url_names_the_sentinels_the_service_and_both_passwords(sentinel_set):
    hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinel_set.sentinels)
    assert sentinel_set.url == (
        f"redis+sentinel://:{PASSWORD}@{hosts}/{SERVICE}/0?sentinel_password={SENTINEL_PASSWORD}"
    )


def test_redis_and_the_sentinels_refuse_each_others_password(sentinel_set):
    for server, other in (
        (sentinel_set.primary(), SENTINEL_PASSWORD),
        (sentinel_set.sentinels[0], PASSWORD),
    ):
        with RespConnection(server.port) as client:
            with pytest.raises(RespError, match="NOAUTH"):
                client.call("PING")
            with pytest.raises(RespError, match="WRONGPASS"):
                client.call("AUTH", other)


def test_a_flush_empties_the_set_and_drops_clients_but_not_the_sets_own(sentinel_set):
    primary = sentinel_set.primary()
    primary.command("SET", "left over", 1)
    with primary.connect() as client, sentinel_set.sentinels[0].connect() as watcher:
        sentinel_set.flush()
        assert client.closed_by_peer()
        assert watcher.closed_by_peer()
    assert [node.command("DBSIZE") for node in sentinel_set.nodes] == [0] * 3
    assert primary.command("INFO", "replication").count(b"state=online") == 2


def test_a_failover_replaces_the_primary_and_keeps_the_data(sentinel_set):
    before = sentinel_set.primary()
    before.command("SET", "key", "value")
    after = sentinel_set.failover()
    assert after is not before
    assert sentinel_set.primary() is after
    assert after.command("GET", "key") == b"value"


def test_a_primary_that_is_stopped_until_it_was_replaced_wakes_up_as_a_primary(sentinel_set):
    primary = sentinel_set.primary()
    sentinel_set.stop(primary)
    eventually(lambda: sentinel_set.primary() is not primary, within=REPLACED_SECONDS)
    sentinel_set.cont(primary)
    assert primary.command("ROLE")[0] == b"master"
    sentinel_set.settle()
    assert primary.command("ROLE")[0] == b"slave"


def test_a_killed_primary_is_replaced_and_a_flush_makes_the_set_anew_on_the_same_ports(sentinel_set):
    url, primary = sentinel_set.url, sentinel_set.primary()
    sentinel_set.kill(primary)
    eventually(lambda: sentinel_set.primary() is not primary, within=REPLACED_SECONDS)
    sentinel_set.start(primary)
    sentinel_set.flush()
    assert (sentinel_set.url, sentinel_set.primary()) == (url, sentinel_set.nodes[0])
    assert sentinel_set.nodes[0].command("INFO", "replication").count(b"state=online") == 2


def test_a_stopped_sentinel_is_not_asked(sentinel_set):
    sentinel_set.stop(sentinel_set.sentinels[0])
    assert sentinel_set.primary() is sentinel_set.nodes[0]
    assert sentinel_set.running_sentinels == sentinel_set.sentinels[1:]
    sentinel_set.cont(sentinel_set.sentinels[0])
    assert sentinel_set.running_sentinels == sentinel_set.sentinels
