"""``langcache doctor`` where Redis cannot be used: each cause has a name, and what it says to do works."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.operations.diagnosis import diagnose
from langcache_cli.operations.diagnosis.contents.look import contents
from langcache_cli.operations.diagnosis.finding import Finding
from tests.cli.cli_support import no_noise, url_of
from tests.cli.doctor_support import BUSY_SECONDS, PATIENT, SOUND, findings, new_settings, type_line, where
from tests.harness.cli import Run
from tests.harness.polling import eventually
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespConnection, RespError
from tests.harness.tls import Authority, tls_front

Doctor = Callable[..., Run]


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def doctor(call) -> Doctor:
    """`doctor(url)`: it ends as `check` does, if there is an error that `check` looks for."""

    def examine(url: str, *options: str) -> Run:
        ended = call("doctor", "--json", *(options or PATIENT), env={"REDIS_URL": url})
        if ended.code >= ExitCode.UNREACHABLE:
            checked = call("check", "--json", *(options or PATIENT), env={"REDIS_URL": url})
            assert checked.code == ended.code, (checked, ended)
        return ended

    return examine


def only(ended: Run, name: str) -> dict[str, str]:
    """The one finding, which has this name."""
    no_noise(ended)
    assert [*findings(ended)] == [name], ended
    return findings(ended)[name]


def test_a_server_that_was_killed_is_started_again(own_redis, doctor):
    server = own_redis(config=SOUND)
    server.kill()
    ended = doctor(server.url)
    assert ended.code == 69
    assert "langcache redis start" in only(ended, "connection-refused")["mend"]
    server.start()
    assert doctor(server.url).code == 0


def test_a_host_without_an_address(doctor):
    ended = doctor("redis://no-such-host.invalid:1/0")
    assert ended.code == 69
    assert "no-such-host.invalid" in only(ended, "host-unknown")["found"]


def test_a_socket_that_is_not_there(doctor):
    ended = doctor("unix:///no/such.sock")
    assert ended.code == 69
    assert "path in REDIS_URL" in only(ended, "socket-missing")["mend"]


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_tls_that_only_the_server_speaks(scheme, authority, sound_redis, doctor):
    with tls_front(sound_redis.port, authority.server("localhost")) as port:
        ended = doctor(f"{scheme}://localhost:{port}/0")
        assert ended.code == 69
        assert "speaks TLS" in only(ended, "tls-missing-in-url")["found"]
        if scheme == "redis":
            url = new_settings(only(ended, "tls-missing-in-url")["mend"])["REDIS_URL"]
            assert doctor(f"{url}?ssl_ca_certs={authority.file}").code == 0


def test_tls_that_only_the_url_speaks(sound_redis, doctor):
    ended = doctor(f"rediss://127.0.0.1:{sound_redis.port}/0", "--timeout", "0.8")
    assert ended.code == 69
    url = new_settings(only(ended, "tls-only-in-url")["mend"])["REDIS_URL"]
    assert doctor(url).code == 0


TLS = {
    "certificate-expired": {"expired": True},
    "certificate-other-host": {"name": "redis.example.org"},
    "certificate-unknown-authority": {"options": ""},
    "client-certificate-wanted": {"mutual": True},
    "tls-file": {"options": "?ssl_ca_certs=/no/such.pem"},
}
MENDED = {
    "certificate-other-host": "{url}&ssl_check_hostname=false",
    "certificate-unknown-authority": "{url}?ssl_ca_certs={authority.file}",
    "client-certificate-wanted": "{url}&ssl_certfile={authority.client}&ssl_keyfile={authority.client}",
    "tls-file": "rediss://localhost:{port}/0?ssl_ca_certs={authority.file}",
}


@pytest.mark.parametrize("name", TLS)
def test_a_certificate_or_a_file_that_does_not_fit(name, authority, sound_redis, doctor):
    wrong = {"name": "localhost", "expired": False, "mutual": False, **TLS[name]}
    options = wrong.get("options", f"?ssl_ca_certs={authority.file}")
    context = authority.server(wrong["name"], expired=wrong["expired"], mutual=wrong["mutual"])
    with tls_front(sound_redis.port, context) as port:
        url = f"rediss://localhost:{port}/0{options}"
        found = only(doctor(url), name)
        assert found["severity"] == "error"
        if name not in MENDED:
            assert "Renew the certificate" in found["mend"]
            return
        mended = MENDED[name].format(url=url, port=port, authority=authority)
        for option in re.findall(r"(ssl_\w+)=", mended.removeprefix(url)):
            assert option in found["mend"]
        assert doctor(mended).code == 0


def test_a_password_where_the_server_has_none(sound_redis, doctor):
    ended = doctor(url_of(sound_redis, password="secret"))
    assert ended.code == 77
    assert doctor(new_settings(only(ended, "password-not-set")["mend"])["REDIS_URL"]).code == 0


def test_no_password_where_the_server_has_one_and_a_wrong_one(own_redis, doctor):
    server = own_redis(password="right", config=SOUND)
    none, wrong = doctor(url_of(server, password="")), doctor(url_of(server, password="wrong"))
    assert none.code == wrong.code == 77
    assert only(wrong, "login-refused")
    url = new_settings(only(none, "login-missing")["mend"])["REDIS_URL"]
    assert doctor(url.replace("PASSWORD", "right")).code == 0


def test_a_database_number_that_the_server_does_not_have(sound_redis, doctor):
    ended = doctor(url_of(sound_redis, db=99))
    assert ended.code == 78
    assert "lower number" in only(ended, "database-number")["mend"]


def test_a_server_that_takes_no_more_clients(own_redis, call):
    def doctor(url: str) -> Run:  # of other commands the reset of the connection may hide the reason
        return call("doctor", "--json", *PATIENT, env={"REDIS_URL": url})

    server = own_redis(config=SOUND)
    held = [server.connect() for _ in range(3)]
    server.command("CONFIG", "SET", "maxclients", 3)
    ended = doctor(server.url)
    assert ended.code == 75
    assert "close some" in only(ended, "clients-full")["mend"]
    for connection in held:
        connection.close()
    eventually(lambda: "clients-full" not in findings(doctor(server.url)))


def test_nearly_as_many_clients_as_the_server_takes(own_redis, doctor):
    server = own_redis(config=SOUND)
    held = [server.connect() for _ in range(55)]
    server.command("CONFIG", "SET", "maxclients", 60)
    ended = doctor(server.url)
    assert ended.code == 1
    line = only(ended, "clients-near-limit")["mend"]
    type_line(line, [server])
    assert doctor(server.url).code == 0
    for connection in held:
        connection.close()


@contextmanager
def occupied(server: RedisServer, *command: str) -> Iterator[None]:
    """Have the server work on a command, which has ended when this ends."""
    connection = RespConnection(server.port, timeout=30)
    worker = threading.Thread(target=lambda: _call(connection, *command))
    worker.start()
    try:
        yield
    finally:
        worker.join(30)
        connection.close()


def _call(connection: RespConnection, *command: str) -> None:
    with suppress(RespError, OSError):
        connection.call(*command)


def test_a_script_that_does_not_end(sound_redis, doctor):
    with occupied(sound_redis, "EVAL", "while true do end", "0"):
        eventually(lambda: _refusal(sound_redis) == "BUSY")
        ended = doctor(sound_redis.url)
        type_line(findings(ended)["busy"]["mend"], [sound_redis])
    assert ended.code == 75
    assert only(ended, "busy")["addresses"] == [where(sound_redis)]
    assert doctor(sound_redis.url).code == 0


def test_a_server_that_loads_its_data(own_redis, doctor):
    server = own_redis(config=[*SOUND, "rdbcompression no", "key-load-delay 30000"])
    script = "for i = 1, 100 do redis.call('SET', i, string.rep('x', 400000)) end return redis.call('DBSIZE')"
    server.command("EVAL", script, 0)
    server.command("SAVE")
    server.kill()
    with ThreadPoolExecutor() as starting:
        started = starting.submit(server.start)
        eventually(lambda: _refusal(server) == "LOADING")
        ended = doctor(server.url)
        type_line(only(ended, "loading")["mend"], [server])
        server.kill()  # it would take seconds
        assert started.exception()
    server.config.pop()
    server.start()
    assert ended.code == 75
    assert doctor(server.url).code == 0


def _refusal(server: RedisServer) -> str:
    try:
        server.command("GET", "absent")
    except (RespError, OSError) as error:
        return str(error).split(" ")[0]
    return ""


def test_a_server_that_cannot_write_to_its_disk(own_redis, doctor):
    server = own_redis(config=[*SOUND, "save 3600 100000"])
    in_its_place = server.directory / "dump.rdb"
    in_its_place.mkdir()
    with suppress(RespError):
        server.command("BGSAVE")
    eventually(lambda: b"rdb_last_bgsave_status:err" in server.command("INFO", "persistence"))
    ended = doctor(server.url)
    assert ended.code == 69
    type_line(only(ended, "disk-error")["mend"], [server])
    stores_again = doctor(server.url)
    assert stores_again.code == 1
    in_its_place.rmdir()
    type_line(only(stores_again, "snapshot-failed")["mend"], [server])
    eventually(lambda: b"rdb_last_bgsave_status:ok" in server.command("INFO", "persistence"))
    assert doctor(server.url).code == 0


def test_a_server_that_hangs_after_its_first_answers(own_redis, doctor, monkeypatch):
    server = own_redis(config=SOUND)

    async def of_a_hung_server(*args: Any, **options: Any) -> list[Finding]:
        server.pause()
        return await contents(*args, **options)

    monkeypatch.setattr(diagnose, "contents", of_a_hung_server)
    started = time.monotonic()
    ended = doctor(server.url, "--timeout", "2")
    took = time.monotonic() - started
    server.resume()
    assert ended.code == 0, ended
    assert only(ended, "not-seen-keys")["severity"] == "note"
    assert took < BUSY_SECONDS


def test_a_server_that_wants_replicas(own_redis, doctor):
    server = own_redis(config=[*SOUND, "min-replicas-to-write 1"])
    ended = doctor(server.url)
    assert ended.code == 69
    type_line(only(ended, "replicas-wanted")["mend"], [server])
    assert doctor(server.url).code == 0


def test_nothing_takes_longer_than_the_timeout(sound_redis, fault_proxy, doctor):
    proxy = fault_proxy(sound_redis.port)
    proxy.swallow()
    ended = doctor(f"redis://127.0.0.1:{proxy.port}/0", "--timeout", "0.3")
    assert ended.code == 69
    assert "--timeout" in only(ended, "no-answer")["mend"]
    proxy.heal()
    assert doctor(f"redis://127.0.0.1:{proxy.port}/0").code == 0
