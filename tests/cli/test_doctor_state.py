"""``langcache doctor`` and a server that answers: rights, memory, the clock, settings that nothing reads."""

import sys
import time
from collections.abc import Callable

import pytest

from langcache_cli.operations.diagnosis import server_facts
from tests.cli.cli_support import no_noise, url_of
from tests.cli.doctor_support import PATIENT, findings, type_line, where
from tests.harness.acl import OF_THE_OVERVIEW, PASSWORD, USER, grant
from tests.harness.cli import Run, finish, start_cli
from tests.harness.redis_server import RedisServer

Doctor = Callable[..., Run]


@pytest.fixture
def doctor(call, sound_redis) -> Doctor:
    """`doctor(*options, NAME=...)`: of that sound_redis, with these settings."""

    def examine(*options: str, **settings: str) -> Run:
        return call("doctor", "--json", *PATIENT, *options, env={"REDIS_URL": sound_redis.url, **settings})

    return examine


def as_user(server: RedisServer) -> str:
    return url_of(server, user=USER, password=PASSWORD)


def test_nothing_is_wrong_for_the_smallest_user(sound_redis, doctor):
    grant([sound_redis], "one")
    ended = doctor(REDIS_URL=as_user(sound_redis))
    assert ended.code == 0, ended
    assert ended.document["findings"] == []


def test_databases_that_may_not_be_selected_are_left_out(sound_redis, doctor):
    with sound_redis.connect() as connection:
        connection.call("SELECT", 4)
        connection.call("SET", "cache@tag:user:1", "a version")
    assert "database-other" in findings(doctor())
    grant([sound_redis], "one", without=["+select"])
    assert doctor(REDIS_URL=as_user(sound_redis)).document["findings"] == []


@pytest.mark.parametrize("lacking", [("+unlink",), ("+get", "+mget", "+evalsha"), ("~cache@*",)])
def test_rights_that_are_missing_are_granted_by_one_line(lacking, sound_redis, doctor):
    grant([sound_redis], "one", without=lacking)
    ended = doctor(REDIS_URL=as_user(sound_redis))
    assert ended.code == 77
    found = findings(ended)["right-missing"]
    assert all(right in found["found"] for right in lacking)
    type_line(found["mend"], [sound_redis])
    ended = doctor(REDIS_URL=as_user(sound_redis))
    assert ended.document["passed"], ended


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("near-cache-impossible", {"+client|tracking"}),
        ("right-missing-statistics", OF_THE_OVERVIEW),
    ],
)
def test_rights_that_only_one_part_needs_are_a_note(name, lacking, sound_redis, doctor):
    grant([sound_redis], "one", without=[*lacking])
    ended = doctor(REDIS_URL=as_user(sound_redis))
    assert ended.code == 0, ended
    found = findings(ended)
    assert name in found
    assert found[name]["severity"] == "note"
    assert {*found[name]["mend"].split()} >= lacking
    type_line(found[name]["mend"], [sound_redis])
    assert findings(doctor(REDIS_URL=as_user(sound_redis))) == {}


def test_memory_that_is_nearly_used_up(sound_redis, doctor):
    script = "for i = 1, 200 do redis.call('SET', 'other:' .. i, string.rep('x', 50000)) end"
    sound_redis.command("EVAL", script, 0)
    used = int(sound_redis.command("INFO", "memory").split(b"used_memory:")[1].split()[0])
    sound_redis.command("CONFIG", "SET", "maxmemory", int(used * 1.06))
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)
    assert {*found} & {"memory-nearly-full", "evictions"}
    type_line(next(iter(found.values()))["mend"], [sound_redis])
    assert doctor().code == 0


@pytest.mark.parametrize(("seconds", "words"), [(90, "behind"), (-7300, "ahead of")])
def test_the_clock_of_this_machine_is_another(seconds, words, sound_redis, doctor, monkeypatch):
    class Skewed:
        perf_counter = staticmethod(time.perf_counter)

        @staticmethod
        def time() -> float:
            return time.time() + seconds

    monkeypatch.setattr(server_facts, "time", Skewed)
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)["clock-skew"]
    assert f"{where(sound_redis)} is {'1.5 min' if seconds > 0 else '2.0 h'} {words}" in found["found"]
    monkeypatch.undo()
    assert doctor().code == 0


def test_settings_that_nothing_reads(sound_redis, doctor, tmp_path, monkeypatch):
    file = tmp_path / "settings"
    file.write_text("LANGCACHE_NAMESPCE=app\nLANGCACHE_HOT_KEYS=false\n")
    monkeypatch.setenv("LANGCACHE_XYZZY", "1")
    ended = doctor("--env-file", str(file))
    assert ended.code == 1
    here, there = [one for one in ended.document["findings"] if one["name"] == "setting-misspelt"]
    assert here["found"] == f"LANGCACHE_NAMESPCE in line 1 of {file} is no setting of langcache"
    assert here["mend"] == "Write LANGCACHE_NAMESPACE in its place."
    assert there["found"].startswith("LANGCACHE_XYZZY in the environment")
    monkeypatch.delenv("LANGCACHE_XYZZY")
    file.write_text(file.read_text().replace("LANGCACHE_NAMESPCE", "LANGCACHE_NAMESPACE"))
    assert doctor("--env-file", str(file)).code == 0


def test_without_config_nothing_is_missed_and_without_a_database_nothing_is_imported(sound_redis):
    sound_redis.command(
        "ACL", "SETUSER", "managed", "on", ">pw", "~*", "&*", "+@all", "-config", "-acl", "-debug"
    )
    code = (
        "import sys; from langcache_cli.cli.main import run; code = run(['doctor']); "
        "sys.exit(code or any(m in sys.modules for m in ('sqlalchemy', 'fastapi', 'asyncpg')))"
    )
    env = {"REDIS_URL": url_of(sound_redis, user="managed", password="pw")}
    ended = finish(start_cli(env=env, command=(sys.executable, "-c", code)))
    assert ended.code == 0, ended
    assert ended.stdout.splitlines()[-1] == "Nothing is wrong."
    no_noise(ended)
