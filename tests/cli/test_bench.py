"""``langcache bench``: it measures what it says, and is gone without a trace."""

import re
import signal

import pytest

from tests.cli.cli_support import complaint, keys_of, url_of
from tests.harness.cli import Terminal, finish, run_cli, start_cli
from tests.harness.polling import eventually

QUICK = ("--duration", "0.02", "--repeat", "2")


@pytest.fixture
def slow_database(postgres_words, fault_proxy) -> str:
    """A PostgreSQL 45 ms away."""
    port = int(postgres_words.rpartition(":")[2].partition("/")[0])
    proxy = fault_proxy(port)
    proxy.delay(0.0225)
    return postgres_words.replace(f":{port}/", f":{proxy.port}/")


def test_the_ladder_is_measured_and_leaves_no_key_and_no_count(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis)}
    ended = run_cli("bench", "--sample", *QUICK, "--concurrency=2", "--json", env=env)
    assert ended.code == 0
    document = ended.document
    assert list(document["paths"]) == ["noop", "ping", "get", "hit", "miss", "database"]
    assert (document["concurrency"], document["repeats"]) == (2, 2)
    assert set(document["versions"]) >= {"python", "redis_server", "langcache-cli"}
    for measured in document["paths"].values():
        assert measured["count"] >= 4
        assert measured["errors"] == 0
        times = [measured[f"p{percent}_ms"] for percent in ("50", "90", "95", "99", "99.9")]
        assert times[0] > 0
        assert [*times, measured["max_ms"]] == sorted([*times, measured["max_ms"]])
    assert document["paths"]["noop"]["p50_ms"] < document["paths"]["hit"]["p50_ms"]
    assert document["speedup_ratio"] > 1
    # neither entries nor statistics: nothing at all
    assert not keys_of(secured_redis)


def test_a_hit_is_ten_times_faster_than_a_miss_of_a_database_45_ms_away(secured_redis, slow_database, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": slow_database}
    ended = call("bench", *QUICK, "--path=hit", "--path=miss", "--min-speedup=10", "--json", env=env)
    assert ended.code == 0
    assert ended.document["paths"]["miss"]["p50_ms"] > 45
    too_much = call("bench", *QUICK, "--path=hit", "--path=miss", "--min-speedup=1e9", env=env)
    assert too_much.code == 1
    assert "times faster than a miss, not 1e+09" in complaint(too_much)
    assert not keys_of(secured_redis)


def test_a_p95_that_no_cache_reaches_fails(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    ended = call("bench", *QUICK, "--path=hit", "--max-p95-ms=0.000001", env=env)
    assert ended.code == 1
    assert "the p95 of a hit is" in complaint(ended)
    assert call("bench", *QUICK, "--path=hit", "--max-p95-ms=60000", env=env).code == 0


def test_ctrl_c_removes_the_keys_of_the_benchmark(secured_redis, three_words):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    process = start_cli("bench", "--duration=60", "--path=hit", env=env)
    eventually(lambda: secured_redis.command("DBSIZE"), within=30)
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130
    assert complaint(ended) == "langcache: interrupted"
    assert not keys_of(secured_redis)


def test_a_run_that_ends_does_not_disturb_another(secured_redis, three_words):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    line = ("bench", "--path=hit", "--repeat=1", "--json")
    long = start_cli(*line, "--duration=2", env=env)
    eventually(lambda: secured_redis.command("DBSIZE"), within=30)
    assert run_cli(*line, "--duration=0.02", env=env).code == 0
    ended = finish(long)
    assert (ended.code, ended.document["paths"]["hit"]["errors"]) == (0, 0)
    assert not keys_of(secured_redis)


def test_what_needs_no_database_is_measured_without_one(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    ended = call("bench", *QUICK, "--path=noop", "--path=ping", "--path=get", "--json", env=env)
    assert ended.code == 0, ended
    assert list(ended.document["paths"]) == ["noop", "ping", "get"]
    assert all(path["errors"] == 0 for path in ended.document["paths"].values())
    assert not keys_of(secured_redis)
    assert "DATABASE_URL is not set" in complaint(call("bench", "--path=hit", env=env))


def test_no_digit_is_lost_on_a_narrow_terminal(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis)}
    with Terminal("bench", *QUICK, "--path=noop", "--path=get", env=env, columns=60) as terminal:
        ended = terminal.finish()
    assert ended.code == 0
    lines = ended.stdout.splitlines()
    (row,) = [line for line in lines if line.strip().startswith("noop")]
    (left_out,) = [line for line in lines if line.startswith("Too narrow for ")]
    shown = 8 - left_out.partition(":")[0].count(",") - 1
    assert len(re.findall(r"[0-9][0-9,.]*", row)) == shown, row
    assert len(row) <= 60
