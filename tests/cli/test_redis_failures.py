"""A Redis that cannot be used: each cause has its own exit code and hint, not that a local one be started."""

import pytest

from tests.cli.cli_support import complaint, url_of
from tests.cli.test_exit_codes import redis_that_says
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST

REPLIES = [
    ("ERR DB index is out of range", 78, "Choose a lower number"),
    (
        "ERR AUTH <password> called without any password configured for the default user",
        77,
        "Leave the password",
    ),
    ("ERR max number of clients reached", 75, "maxclients"),
    (
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to",
        69,
        "its log says why",
    ),
    ("BUSY Redis is busy running a script.", 75, "SCRIPT KILL"),
    ("MASTERDOWN Link with MASTER is down", 75, "set it to a primary"),
    ("CLUSTERDOWN Hash slot not served", 78, "redis+cluster://"),
    ("DENIED Redis is running in protected mode", 77, "requirepass"),
    ("WRONGPASS invalid username-password pair", 77, "Check the user and the password"),
]


@pytest.mark.parametrize(("reply", "code", "hint"), REPLIES, ids=[reply.split()[1] for reply, *_ in REPLIES])
def test_what_redis_replies_decides_the_exit_code_and_the_hint(reply, code, hint, call):
    with redis_that_says(reply) as url:
        ended = call("-q", "check", env={"REDIS_URL": url.replace("//", "//:secret@")})
    assert ended.code == code
    assert complaint(ended)
    assert hint in ended.stderr.splitlines()[-1]
    assert "redis start" not in ended.stderr


@pytest.mark.parametrize(
    ("url", "code", "hint"),
    [
        ("rediss://localhost:1/0?ssl_ca_certs=/missing.pem", 78, "ssl_ca_certs"),
        ("redis://no-such-host.invalid:1/0", 69, "host name"),
        ("unix:///no/such.sock", 69, "path in REDIS_URL"),
        ("redis://127.0.0.1:1/0", 69, "langcache redis start"),
    ],
)
def test_what_stands_in_between_decides_the_exit_code_and_the_hint(url, code, hint, call):
    ended = call("stats", env={"REDIS_URL": url})
    assert ended.code == code, ended
    assert hint in ended.stderr.splitlines()[-1]


def test_a_file_that_holds_no_certificate_is_78(tmp_path, call):
    (tmp_path / "ca.pem").write_text("none")
    ended = call("stats", env={"REDIS_URL": f"rediss://localhost:1/0?ssl_ca_certs={tmp_path / 'ca.pem'}"})
    assert ended.code == 78
    assert "ssl_ca_certs" in ended.stderr.splitlines()[-1]


def test_a_port_that_speaks_no_tls_is_asked_about(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis).replace("redis:", "rediss:")}
    ended = call("stats", "--timeout", "0.3", env=env)
    assert ended.code == 69
    assert "speak TLS" in ended.stderr.splitlines()[-1]


def test_a_check_names_a_replica_even_if_it_can_be_written_to(own_redis, call):
    server, primary = own_redis(), own_redis()
    server.command("REPLICAOF", LOCALHOST, primary.port)
    eventually(lambda: b"master_link_status:up" in server.command("INFO", "replication"))
    ended = call("-q", "check", env={"REDIS_URL": server.url})
    assert ended.code == 69
    assert f"its primary, {LOCALHOST}:{primary.port}" in complaint(ended)
    assert ended.stderr.splitlines()[-1] == "REDIS_URL names a replica; set it to the primary."
    server.command("CONFIG", "SET", "replica-read-only", "no")
    ended = call("-q", "check", env={"REDIS_URL": server.url})
    assert ended.code == 78
    assert f"its primary, {LOCALHOST}:{primary.port}" in complaint(ended)


def test_a_check_names_a_node_of_a_cluster(own_redis, call):
    server = own_redis(config=["cluster-enabled yes"])
    for _ in range(2):
        ended = call("-q", "check", env={"REDIS_URL": server.url})
        assert ended.code == 78
        assert "a node of a Redis Cluster" in complaint(ended)
        if not server.command("CLUSTER", "SLOTS"):
            server.command("CLUSTER", "ADDSLOTS", *range(16384))


def test_a_check_names_a_full_server_that_evicts_nothing(own_redis, call):
    server = own_redis(maxmemory="3mb", policy="noeviction")
    server.command("CONFIG", "SET", "maxmemory", "100kb")
    ended = call("-q", "check", env={"REDIS_URL": server.url})
    assert ended.code == 69
    assert "OOM" in complaint(ended)
    assert "maxmemory-policy" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("lacks", ["set", "mget", "evalsha", "unlink", "scan"])
def test_a_check_names_a_right_that_the_cache_lacks_and_writes_nothing(lacks, own_redis, call):
    server = own_redis(password="main")
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~cache:*", "~cache@*", "+@all", f"-{lacks}")
    before = server.command("DBSIZE")
    ended = call("-q", "check", env={"REDIS_URL": url_of(server, user="app", password="pw")})
    assert ended.code == 77
    assert lacks in complaint(ended)
    assert "ACL SETUSER" in ended.stderr.splitlines()[-1]
    assert server.command("DBSIZE") == before


def test_a_check_leaves_no_key_behind(own_redis, call):
    server = own_redis()
    assert call("check", env={"REDIS_URL": server.url}).code == 0
    assert server.command("DBSIZE") == 0


def test_a_foreign_server_that_loads_is_75_and_not_a_port_that_is_taken(call):
    with redis_that_says("LOADING Redis is loading the dataset in memory") as url:
        ended = call("redis", "start", "--wait", "0.1", env={"REDIS_URL": url})
    assert ended.code == 75
    assert "is loading its data" in complaint(ended)


def test_a_server_without_a_password_is_not_one_with_another(own_redis, call):
    server = own_redis()
    env = {"REDIS_URL": f"redis://:pw@{LOCALHOST}:{server.port}/0"}
    start, status = call("redis", "start", env=env), call("redis", "status", env=env)
    assert start.code == status.code == 77
    assert "has no password" in start.stderr
    assert "no password set" in complaint(status)


@pytest.mark.parametrize("command", ["check", "stats"])
def test_a_cluster_that_is_down_is_no_wrong_url(own_redis, call, command):
    server = own_redis(config=["cluster-enabled yes"])
    server.command("CLUSTER", "ADDSLOTS", *range(16383))
    eventually(lambda: b"cluster_state:fail" in server.command("CLUSTER", "INFO"))
    ended = call(command, env={"REDIS_URL": f"redis+cluster://{LOCALHOST}:{server.port}"})
    assert ended.code == 69
    reason, hint = {"check": ("cluster_state:fail", "fix"), "stats": ("CLUSTERDOWN", "check")}[command]
    shown = ended.stdout if command == "check" else ended.stderr
    assert complaint(ended)
    assert reason in shown
    assert f"redis-cli --cluster {hint}" in shown
