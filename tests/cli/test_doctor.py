"""``langcache doctor`` with one server: each finding on a real server in that state, and what mends it."""

import json

import pytest

from tests.cli.cli_support import SECRET, complaint, no_noise, url_of
from tests.cli.doctor_support import PATIENT, SOUND, findings, new_settings, type_line, where
from tests.harness.cli import run_cli
from tests.harness.redis_cluster import RedisCluster
from tests.harness.tls import Authority, tls_front

USER = ("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")


@pytest.fixture
def doctor(call):
    """`doctor(url, *options)`: the command, in this process, with a JSON document."""
    return lambda url, *options: call("doctor", "--json", *(options or PATIENT), env={"REDIS_URL": url})


@pytest.fixture
def sound(own_redis):
    """`sound(*lines)`: a server in which nothing is wrong but for these lines."""
    return lambda *lines, **options: own_redis(config=[*SOUND, *lines], **options)


def test_nothing_is_wrong_with_a_sound_server(sound, call):
    server = sound()
    ended = call("doctor", *PATIENT, env={"REDIS_URL": server.url})
    assert ended.code == 0, ended
    assert ended.stdout.splitlines()[-1] == "Nothing is wrong."
    assert where(server) in ended.stdout
    assert call("-q", "doctor", env={"REDIS_URL": server.url}) == type(ended)(0, "", "")


@pytest.mark.parametrize(
    ("name", "line"),
    [("maxmemory-unset", "maxmemory 0"), ("eviction-policy", "maxmemory-policy noeviction")],
)
def test_memory_without_a_limit_or_eviction_is_a_warning_that_can_be_mended(name, line, sound, doctor):
    server = sound(line)
    ended = doctor(server.url)
    assert ended.code == 1
    assert {*findings(ended)} == {name}
    found = findings(ended)[name]
    assert found["severity"] == "warning"
    assert found["addresses"] == [where(server)]
    type_line(found["mend"], [server])
    assert doctor(server.url).code == 0


def test_a_finding_is_shown_with_its_reason_and_the_line_to_type(sound, call):
    server = sound("maxmemory-policy noeviction")
    ended = call("doctor", *PATIENT, env={"REDIS_URL": server.url})
    no_noise(ended)
    assert ended.stdout.split("\n\n")[1].splitlines() == [
        f"warning: maxmemory-policy is noeviction on {where(server)}",
        "  When the memory is full, no value is stored any more, and each miss stays one.",
        f"  redis-cli -h 127.0.0.1 -p {server.port} CONFIG SET maxmemory-policy allkeys-lru",
    ]
    assert complaint(ended) == "langcache: 1 warning"
    assert "maxmemory" not in ended.stderr
    quiet = call("-q", "doctor", env={"REDIS_URL": server.url})
    assert (quiet.code, quiet.stdout) == (1, "")
    assert quiet.stderr.splitlines() == [
        f"langcache: warning: maxmemory-policy is noeviction on {where(server)}",
        f"redis-cli -h 127.0.0.1 -p {server.port} CONFIG SET maxmemory-policy allkeys-lru",
    ]
    document = call("doctor", "--json", *PATIENT, env={"REDIS_URL": server.url}).document
    assert document["error"]["message"] == f"maxmemory-policy is noeviction on {where(server)}"


def test_a_server_that_does_not_run(sound, doctor):
    server = sound(password="secret")
    server.kill()
    ended = doctor(server.url)
    assert ended.code == 69
    found = findings(ended)["connection-refused"]
    assert found["severity"] == "error"
    assert found["found"] == f"nothing listens at {where(server)}, where Redis should be"
    assert found["mend"].startswith("Start a local one with 'langcache redis start'")
    assert "secret" not in ended.stdout + ended.stderr


def test_a_server_that_hangs_costs_no_more_than_the_timeout(sound, doctor):
    server = sound()
    server.pause()
    ended = doctor(server.url, "--timeout", "0.3")
    server.resume()
    assert ended.code == 69
    assert "did not answer in time" in findings(ended)["no-answer"]["found"]
    assert ended.document["nodes"][0]["latency_ms"] is None


def test_a_password_that_is_wrong(secured_redis, doctor):
    ended = doctor(url_of(secured_redis, password=f"{SECRET}-"))
    assert ended.code == 77
    found = findings(ended)["login-refused"]
    assert "refused the user or password" in found["found"]
    assert found["mend"] == "Check the user and the password in REDIS_URL."
    no_noise(ended)


def test_a_certificate_of_an_unknown_authority(tmp_path, redis_server, doctor):
    with tls_front(redis_server.port, Authority(tmp_path).server("localhost")) as port:
        ended = doctor(f"rediss://localhost:{port}/0")
    assert ended.code == 78
    found = findings(ended)["certificate-unknown-authority"]
    assert "the authority that signed the certificate of Redis at localhost:" in found["found"]
    assert "?ssl_ca_certs=FILE" in found["mend"]


def test_a_full_server_that_evicts_nothing(sound, doctor):
    server = sound("maxmemory 2mb", "maxmemory-policy noeviction")
    server.command("EVAL", "for i = 1, 3000 do redis.pcall('SET', 'k' .. i, string.rep('x', 1000)) end", 0)
    ended = doctor(server.url)
    assert ended.code == 69
    assert "evicts nothing" in findings(ended)["memory-full"]["found"]
    assert "eviction-policy" in findings(ended)


def test_a_replica(sound, doctor):
    primary = sound()
    replica = sound(replicaof=primary)
    ended = doctor(replica.url)
    assert ended.code in (69, 78)
    found = findings(ended)["replica"]
    assert f"set it to its primary, 127.0.0.1:{primary.port}" in found["found"]
    assert doctor(new_settings(found["mend"])["REDIS_URL"]).code == 0


def test_a_user_who_lacks_a_right(sound, doctor):
    server = sound()
    server.command(*USER, "-unlink")
    ended = doctor(url_of(server, user="app", password="pw"))
    assert ended.code == 77
    assert "unlink" in findings(ended)["right-missing"]["found"]


def test_what_a_user_without_info_and_config_cannot_see_is_said_and_no_failure(sound, doctor):
    server = sound()
    server.command(*USER, "-config", "-info")
    ended = doctor(url_of(server, user="app", password="pw"))
    assert ended.code == 0, ended
    found = findings(ended)
    assert {*found} == {"not-seen-info"}
    assert found["not-seen-info"]["severity"] == "note"
    assert "+info" in found["not-seen-info"]["mend"]


def test_a_user_without_config_is_enough_for_one_server(sound, doctor):
    server = sound("maxmemory 0")
    server.command(*USER, "-config")
    ended = doctor(url_of(server, user="app", password="pw"))
    assert {*findings(ended)} == {"maxmemory-unset"}


def test_a_plain_url_of_a_node_of_a_cluster(redis_cluster: RedisCluster, doctor):
    node = redis_cluster.nodes[0]
    ended = doctor(node.url)
    assert ended.code == 78
    found = findings(ended)["cluster-behind-plain-url"]
    assert found["addresses"] == [where(node)]
    assert "redis+cluster://" in found["mend"]
    assert doctor(redis_cluster.url).code != 78


def test_a_cluster_url_of_a_single_server(one_redis, doctor):
    ended = doctor(f"redis+cluster://127.0.0.1:{one_redis.port}")
    assert ended.code == 78
    found = findings(ended)["plain-server-behind-cluster-url"]
    assert f"REDIS_URL=redis://127.0.0.1:{one_redis.port}/0" in found["mend"]


def test_a_cache_that_is_switched_off(call):
    ended = call("doctor", "--json", env={"REDIS_ENABLED": "false"})
    assert ended.code == 78
    assert "REDIS_ENABLED is false" in json.loads(ended.stdout)["error"]["message"]


def test_it_is_a_command_of_its_own_process(sound):
    ended = run_cli("doctor", env={"REDIS_URL": sound().url})
    assert ended.code == 0, ended
