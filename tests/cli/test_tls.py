"""TLS: what is wrong with a certificate, a file or a URL is said, and what to change."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.cli_support import HIDDEN, MARK, complaint, no_noise
from tests.harness.cli import run_cli
from tests.harness.cluster_node import is_ok, slot_rows
from tests.harness.polling import eventually
from tests.harness.ports import ReservedPort
from tests.harness.redis_cluster import RedisCluster
from tests.harness.tls import Authority, tls_front

SCHEMES = ["rediss", "rediss+cluster"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@dataclass(frozen=True)
class Mistake:
    """What is wrong: with the server, or in the options of the URL."""

    message: str
    hint: str
    name: str = "localhost"
    expired: bool = False
    mutual: bool = False
    options: str = "ssl_ca_certs={authority.file}"
    code: int = 78


MISTAKES = {
    "expired": Mistake("certificate has expired", "Renew the certificate of that server.", expired=True),
    "host": Mistake("not valid for 'localhost'", "name that the certificate has", name="redis.example.org"),
    "authority": Mistake(
        "certificate verify failed", "file of the authority", options="ssl_ca_certs={authority.other}"
    ),
    "no authority": Mistake("certificate verify failed", "?ssl_ca_certs=FILE", options=""),
    "missing file": Mistake(
        "what ssl_ca_certs names cannot be used: no such file",
        "Check ssl_ca_certs",
        options="ssl_ca_certs=/no/such/sEcReT.pem",
    ),
    "no certificate": Mistake(
        "what ssl_ca_certs names cannot be used: no certificate or crl found",
        "Check ssl_ca_certs",
        options=f"ssl_ca_certs={__file__}",
    ),
    "missing client file": Mistake(
        "what ssl_certfile names cannot be used: no such file",
        "ssl_certfile",
        options="ssl_ca_certs={authority.file}&ssl_certfile=/no/such/sEcReT.pem",
    ),
    "client certificate": Mistake("Redis cannot be reached", "add ssl_certfile=FILE", mutual=True, code=69),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_said_once_with_what_to_change(name, scheme, authority, redis_server, call):
    wrong = MISTAKES[name]
    context = authority.server(wrong.name, expired=wrong.expired, mutual=wrong.mutual)
    with tls_front(redis_server.port, context) as port:
        url = f"{scheme}://localhost:{port}/0?{wrong.options.format(authority=authority)}"
        ended = call("stats", env={"REDIS_URL": url})
    assert ended.code == wrong.code, ended
    assert wrong.message in complaint(ended)
    assert wrong.hint in ended.stderr.splitlines()[-1]
    for part in ("sEcReT", str(authority.file)):
        assert part not in ended.stdout + ended.stderr


def test_a_plain_url_of_a_port_with_tls_is_asked_about(authority, redis_server, call):
    with tls_front(redis_server.port, authority.server("localhost")) as port:
        ended = call("-q", "check", env={"REDIS_URL": f"redis://localhost:{port}/0"})
    assert ended.code == 69
    assert "begins with rediss://" in ended.stderr.splitlines()[-1]


@contextmanager
def encrypted_cluster(authority: Authority) -> Iterator[str]:
    """The URL of a cluster whose nodes name ports with TLS: its clients reach no other."""
    with RedisCluster(2, 0) as cluster, ExitStack() as stack:
        context = authority.server("127.0.0.1")
        ports = [stack.enter_context(tls_front(node.port, context)) for node in cluster.nodes]
        for node, port in zip(cluster.nodes, ports, strict=True):
            node.config.append(f"cluster-announce-port {port}")
            node.restart()
        eventually(
            lambda: all(
                is_ok(node) and {row[2][1] for row in slot_rows(node)} == {*ports} for node in cluster.nodes
            ),
            within=60,
        )
        yield f"rediss+cluster://127.0.0.1:{ports[0]}/0?ssl_ca_certs={authority.file}"


@pytest.fixture(scope="module")
def cluster_url(authority) -> Iterator[str]:
    with encrypted_cluster(authority) as url:
        yield url


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--roundtrip"),
        ("check", "--json"),
        ("warm", "--sample"),
        ("stats",),
        ("clear", "--type", "vocabulary", "--yes"),
        ("bench", "--sample", "--duration", "0.05", "--repeat", "2"),
    ],
    ids=" ".join,
)
def test_commands_work_on_a_cluster_with_tls(words, cluster_url):
    ended = run_cli(*words, env={"REDIS_URL": cluster_url})
    assert ended.code == 0, ended
    assert "ca.pem" not in ended.stdout + ended.stderr


def test_a_node_of_a_cluster_whose_certificate_is_another_is_not_used(authority, tmp_path, call):
    with encrypted_cluster(authority) as url:
        wrong = Path(tmp_path / "other")
        wrong.mkdir()
        ended = call(
            "-q", "check", env={"REDIS_URL": url.replace(str(authority.file), str(Authority(wrong).file))}
        )
    assert ended.code == 78
    assert "file of the authority" in ended.stderr.splitlines()[-1]


def test_redis_status_works_over_tls(authority, secured_redis, call):
    with tls_front(secured_redis.port, authority.server("localhost")) as port:
        env = {"REDIS_URL": f"rediss://:{HIDDEN}@localhost:{port}/0?ssl_ca_certs={authority.file}"}
        shown, document = call("redis", "status", env=env), call("redis", "status", "--json", env=env)
        refused = call("redis", "status", env={"REDIS_URL": env["REDIS_URL"].replace(MARK, "other")})
    assert shown.code == document.code == 0, shown
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in shown.stdout.splitlines()[1:]}
    assert (rows["address"], rows["state"]) == (f"localhost:{port}", "answering")
    assert rows["started"] == "by  another program"
    assert document.document["used_memory_bytes"] > 0
    no_noise(shown)
    assert refused.code == 77
    assert "wrong password" in complaint(refused)


@pytest.mark.parametrize("name", MISTAKES)
def test_redis_status_says_what_is_wrong_with_a_certificate(name, authority, redis_server, call):
    wrong = MISTAKES[name]
    context = authority.server(wrong.name, expired=wrong.expired, mutual=wrong.mutual)
    with tls_front(redis_server.port, context) as port:
        url = f"rediss://localhost:{port}/0?{wrong.options.format(authority=authority)}"
        ended = call("redis", "status", env={"REDIS_URL": url})
    assert ended.code == wrong.code, ended
    assert wrong.message in complaint(ended)
    assert wrong.hint in ended.stderr.splitlines()[-1]


def test_redis_status_of_a_host_without_an_address_and_of_an_empty_port(authority, call):
    nowhere = call("redis", "status", env={"REDIS_URL": "rediss://no-such-host.invalid:6380/0"})
    assert nowhere.code == 69
    assert "nothing there" not in nowhere.stdout + nowhere.stderr
    port = ReservedPort()
    nothing = call("redis", "status", env={"REDIS_URL": f"rediss://127.0.0.1:{port.number}/0"})
    port.release()
    assert nothing.code == 69
    assert "nothing there" in complaint(nothing)


def test_redis_shell_passes_tls_and_the_login_on(authority, tmp_path):
    (tmp_path / "redis-cli").write_text('#!/bin/sh\nprintf "%s\\n" "$REDISCLI_AUTH" "$@"\n')
    (tmp_path / "redis-cli").chmod(0o755)
    url = f"rediss://me:secret@db.example:6380/2?ssl_ca_certs={authority.file}"
    ended = run_cli("redis", "shell", env={"REDIS_URL": url, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert ended.code == 0, ended
    assert ended.stdout.split() == [
        "secret",
        *f"-h db.example -p 6380 -n 2 --user me --tls --cacert {authority.file}".split(),
    ]
