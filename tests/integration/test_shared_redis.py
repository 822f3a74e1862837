"""What tests share can be used like one server, whatever `LANGCACHE_TEST_TOPOLOGY` says."""

from contextlib import ExitStack

import pytest

from tests.harness.polling import eventually
from tests.harness.shared_redis import calls_of, clients_of, fill, nodes_of, topology

KEYS = [f"key:{number}" for number in range(20)]


@pytest.fixture
def server(redis_server):
    redis_server.flush()
    return redis_server


def test_commands_may_be_about_keys_of_several_slots(server):
    assert server.command("MSET", *(word for key in KEYS for word in (key, f"value of {key}"))) == "OK"
    assert server.command("MGET", *KEYS, "none") == [*(f"value of {key}".encode() for key in KEYS), None]
    assert server.command("EXISTS", *KEYS, "none") == server.command("DBSIZE") == len(KEYS)
    assert sorted(server.command("KEYS", "*")) == sorted(key.encode() for key in KEYS)
    assert server.command("DEL", *KEYS[:5]) == 5
    assert server.command("UNLINK", *KEYS) == len(KEYS) - 5
    server.command("SET", KEYS[0], "1")
    assert server.command("FLUSHALL") == "OK"
    assert server.command("KEYS", "*") == []


def test_many_keys_are_stored_in_a_moment(server):
    fill(server, 10_000, "cache:word:")
    assert server.command("DBSIZE") == 10_000
    assert server.command("GET", "cache:word:10000") == b"lc1 entry"


def test_commands_and_clients_are_counted_over_all_nodes(server):
    for key in KEYS:
        server.command("GET", key)
    assert (calls_of(server, "get"), calls_of(server, "get", "set"), calls_of(server, "set")) == (20, 20, 0)
    with ExitStack() as stack:
        for node in nodes_of(server):
            for _ in range(3):
                stack.enter_context(node.connect()).call("PING")
        assert clients_of(server) == 3 * len(nodes_of(server))
    eventually(lambda: clients_of(server) == 0)
    server.flush()
    assert calls_of(server, "get") == 0


def test_a_topology_that_there_is_not_is_said(monkeypatch):
    monkeypatch.setenv("LANGCACHE_TEST_TOPOLOGY", "ring")
    with pytest.raises(ValueError, match=r"ring.*one, cluster, sentinel"):
        topology()
