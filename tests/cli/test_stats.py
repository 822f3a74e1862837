"""``langcache stats`` and ``langcache check``: the numbers of other processes, and whether all is well."""

import asyncio
import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from langcache_cli.caching.tooling import COUNTERS
from tests.cli.cli_support import complaint, fill, keys_of, url_of
from tests.harness.cli import ROOT, finish, run_cli, start_cli

BACKEND = """
import asyncio
from langcache_cli.caching import Cache, CacheSettings

async def use(url):
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:
        @cache.cached(key_prefix="vocabulary")
        async def word(number: int) -> int:
            await asyncio.sleep(0.02)  # a load that takes measurably longer than a hit
            return number
        @cache.cached(key_prefix="quiz")
        async def question(number: int) -> int:
            return number
        for number in range(4):
            await word(number)
        for number in range(16):
            await word(number % 4)
        await question(1)
"""
"""16 hits and 4 misses of vocabulary, and a miss of a prefix that is in no type."""


@pytest.fixture
def used_redis(secured_redis):
    """Redis after that."""
    names: dict[str, Any] = {}
    exec(BACKEND, names)
    asyncio.run(names["use"](url_of(secured_redis)))
    return secured_redis


OUTAGE = """
import asyncio, sys
from langcache_cli.caching import Cache, CacheSettings

async def use(url):
    async with Cache(CacheSettings.load(env_file=None, redis_url=url, operation_timeout=0.2)) as cache:
        await cache.set("vocabulary:1", 1)
        print("stored", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(3):
            await cache.delete(f"vocabulary:{number}")
        print("deleted", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        while cache.pending_invalidations:
            await asyncio.sleep(0.01)

asyncio.run(use(sys.argv[1]))
"""


def test_stats_says_what_waited_for_redis(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    with subprocess.Popen(
        [sys.executable, "-c", OUTAGE, env["REDIS_URL"]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as backend:  # fmt: skip
        assert backend.stdout.readline() == "stored\n"
        secured_redis.pause()
        backend.stdin.write("\n")
        backend.stdin.flush()
        assert backend.stdout.readline() == "deleted\n"
        secured_redis.resume()
        backend.communicate("\n", timeout=30)
    ended = call("stats", env=env)
    assert "3 invalidations waited for Redis; 3 delivered since." in ended.stdout.splitlines()
    document = call("stats", "--json", env=env).document
    assert document["outbox"] == {"deferred": 3, "delivered": 3}
    assert document["removed"] == {"cleared_keys": 0, "invalidated_tags": 0}
    assert "(outbox)" not in document["types"]


def test_stats_shows_what_another_process_has_counted(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    script = f"{BACKEND}\nimport sys\nasyncio.run(use(sys.argv[1]))"
    backend = finish(start_cli(env["REDIS_URL"], command=(sys.executable, "-c", script)))
    assert backend.code == 0, backend
    documents = [
        call("stats", "--json", "--window", window, env=env).document for window in ("5m", "24h", "7d")
    ]
    lengths = ((300, 60), (86400, 300), (604800, 3600))
    for document, (seconds, running) in zip(documents, lengths, strict=True):
        assert seconds <= document["window_seconds"] < seconds + running
        vocabulary = document["types"]["vocabulary"]
        assert [vocabulary[name] for name in ("hits", "misses", "loads", "hit_ratio")] == [16, 4, 4, 0.8]
        assert vocabulary["keys"] == 4
        assert 15 < vocabulary["load_p95_ms"] < 2000
        assert 0 < vocabulary["hit_p95_ms"] < vocabulary["load_p95_ms"]
        assert document["types"]["translation"]["hits"] == 0
        assert document["types"]["translation"]["hit_ratio"] is None
        assert document["types"]["quiz"]["misses"] == 1
        assert document["total"]["hit_ratio"] == pytest.approx(16 / 21)
        assert document["total"]["keys"] == 5
        assert document["server"]["version"]
    # and three readings have changed none of it
    assert documents[0]["total"] == call("stats", "--json", "--window", "5m", env=env).document["total"]


def test_the_document_has_every_counter_and_the_names_of_before(used_redis, call):
    document = call("stats", "--json", env={"REDIS_URL": url_of(used_redis)}).document
    functions = {spec.exported_name for spec in COUNTERS.values() if spec.per_function}
    outbox = {spec.exported_name for spec in COUNTERS.values() if not spec.per_function}
    before = {
        "hits", "stale", "misses", "joined", "loads", "load_errors", "refused", "bypassed", "unstored",
        "undecodable", "uncacheable", "read_bytes", "written_bytes",
    }  # fmt: skip
    derived = {"hit_ratio", "hit_p50_ms", "hit_p95_ms", "load_p50_ms", "load_p95_ms"}
    assert before | {"near", "invalidated"} <= functions
    assert set(document["total"]) == functions | derived | {"keys", "keys_error"}
    assert {frozenset(line) for line in document["types"].values()} == {
        frozenset(functions | derived | {"keys", "keys_error", "ttl_seconds"})
    }
    assert {*document["outbox"], *document["removed"]} == outbox


def test_the_document_reads_what_another_version_counted(secured_redis, call):
    minute = int(time.time()) // 60 * 60
    label = "vocabulary:vocabulary:get_word"
    for name, count in {"hits": 9, "near": 4, "misses": 1, "invalidated": 2, "bytes_read": 7}.items():
        for key in (f"cache@stats:m:{minute}", f"cache@stats:h:{minute // 3600 * 3600}"):
            secured_redis.command("HSET", key, f"{label}:{name}", count)
    secured_redis.command("HSET", f"cache@stats:m:{minute}", "(outbox):::deferred", 3)
    document = call("stats", "--json", env={"REDIS_URL": url_of(secured_redis)}).document
    names = ("hits", "near", "misses", "invalidated", "read_bytes", "hit_ratio")
    for part in (document["total"], document["types"]["vocabulary"]):
        assert [part[name] for name in names] == [9, 4, 1, 2, 7, 0.9]
    assert document["outbox"] == {"deferred": 3, "delivered": 0}


def test_the_table_says_a_zero_as_a_zero_and_a_rate_in_percent(used_redis):
    ended = run_cli("stats", env={"REDIS_URL": url_of(used_redis)})
    assert ended.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in ended.stdout.split("\n\n")[0].splitlines()}
    assert rows["vocabulary"][:5] == ["4", "16", "4", "80.0", "%"]
    assert rows["translation"] == ["0", "0", "0", "-", "-", "-"]
    assert rows["all"][:5] == ["5", "16", "5", "76.2", "%"]
    assert re.match(r"The last hour, since \d\d:\d\d\nType ", ended.stdout)
    causes, commands, server = ended.stdout.split("\n\n")[1:]
    rows = {line.split("  ")[0]: re.split(r" {2,}", line)[-2:] for line in causes.splitlines()}
    assert rows["Misses by cause"] == ["Misses", "Share"]
    assert rows["no entry"] == ["4", "80.0 %"]
    assert rows["stored and never hit"] == ["1", "20.0 %"]
    assert rows["all misses"] == ["5", "100.0 %"]
    assert "the keys of quiz:" in causes
    assert commands.splitlines() == [
        "Next (no entry): langcache types",
        "Next (stored and never hit): langcache keys list --find :question:",
    ]
    rows = dict(re.split(r" {2,}", line) for line in server.splitlines()[1:])
    assert rows["keys in this database"] == str(used_redis.command("DBSIZE"))
    assert re.fullmatch(r"[\d.]+ [KMG]?B, no limit, noeviction", rows["memory"])
    assert re.fullmatch(r"\d+ s|\d+ min", rows["uptime"])
    assert "keyspace hits" not in server, "those are mostly reads of langcache itself"


def test_the_hit_rate_can_be_a_threshold(used_redis, call):
    env = {"REDIS_URL": url_of(used_redis)}
    good, poor = (call("stats", "--min-hit-rate", limit, env=env) for limit in ("76", "76.5"))
    assert good.code == 0
    assert poor.code == 1
    assert complaint(poor) == "langcache: the hit rate is 76.2 %, lower than 76.5 %"
    assert poor.stdout.startswith("The last hour, since ")
    hint = "Most misses are of vocabulary: langcache stats --type vocabulary --window 1h"
    assert poor.stderr.splitlines()[-1] == hint
    as_json = call("stats", "--min-hit-rate=99", "--json", env=env)
    assert as_json.code == 1
    assert as_json.document["total"]["hits"] == 16


def test_other_namespaces_and_foreign_keys_are_not_counted(used_redis, call):
    fill(used_redis, "cachet:vocabulary:f:%d", 50)
    fill(used_redis, "celery:%d", 50)
    env = {"REDIS_URL": url_of(used_redis)}
    assert call("stats", "--json", env=env).document["total"]["keys"] == 5
    other = call("stats", "--json", "--namespace=cachet", env=env).document
    assert (other["total"]["keys"], other["total"]["hits"]) == (50, 0)


def test_clearing_everything_leaves_the_statistics(used_redis, call):
    env = {"REDIS_URL": url_of(used_redis)}
    assert call("clear", "--all", "--yes", env=env).code == 0
    document = call("stats", "--json", env=env).document
    assert (document["total"]["keys"], document["total"]["hits"]) == (0, 16)
    assert document["own_keys"] == used_redis.command("DBSIZE")
    shown = call("stats", env=env).stdout
    assert re.search(r"\nof these, counters and tags +\d+ \('clear' leaves them\)", shown)


def test_check_passes_with_a_round_trip_and_a_database_and_leaves_nothing(secured_redis, three_words):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    ended = run_cli("check", "--roundtrip", env=env)
    assert ended.code == 0
    lines = [line.split()[:3] for line in ended.stdout.splitlines()]
    assert lines == [
        ["Result", "Check", "Found"],
        ["ok", "redis", "Redis"],
        ["ok", "round", "trip"],
        ["ok", "database", "3"],
    ]
    assert f"from {three_words}\n" in ended.stderr
    assert not keys_of(secured_redis)


def test_a_quiet_check_says_nothing_unless_something_is_wrong(secured_redis, call):
    good = call("-q", "check", "--roundtrip", env={"REDIS_URL": url_of(secured_redis)})
    assert (good.code, good.stdout, good.stderr) == (0, "", "")
    bad = call("-q", "check", env={"REDIS_URL": url_of(secured_redis, password="no")})
    assert bad.code == 77
    assert bad.stdout == ""
    assert complaint(bad).startswith("langcache: redis: Redis refused")
    assert bad.stderr.splitlines()[-1] == "Check the user and the password in REDIS_URL."


def test_check_says_which_of_several_failed_and_ends_as_the_first(secured_redis, tmp_path, call):
    env = {"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": f"sqlite:///{tmp_path}/missing.db"}
    ended = call("check", "--json", env=env)
    assert ended.code == 69
    assert [(check["name"], check["passed"]) for check in ended.document["checks"]] == [
        ("redis", False),
        ("database", False),
    ]
    assert "no such database file" in ended.document["checks"][1]["detail"]
    assert "redis: " in complaint(ended)


def test_a_full_redis_fails_the_check_and_the_round_trip(own_redis, call):
    server = own_redis(maxmemory="1mb", policy="noeviction")
    server.command("CONFIG", "SET", "maxmemory", "100kb")
    ended = call("check", "--roundtrip", env={"REDIS_URL": server.url})
    assert ended.code == 69
    assert "OOM" in ended.stdout
    assert call("check", env={"REDIS_URL": server.url}).code == 69


def test_documents_hold_no_key_twice_and_plain_numbers(used_redis, call):
    text = call("stats", "--json", env={"REDIS_URL": url_of(used_redis)}).stdout
    json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=pytest.fail)


def _no_duplicates(pairs):
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_of_many_keys_some_are_looked_at_and_exact_looks_at_all(secured_redis, call):
    fill(secured_redis, "cache:vocabulary:f:%d", 6000)
    env = {"REDIS_URL": url_of(secured_redis)}
    shown = run_cli("stats", "--memory", env=env)
    assert shown.code == 0
    row = next(line for line in shown.stdout.splitlines() if line.startswith("vocabulary"))
    assert "≈ 6,000" in row
    assert "±" in row
    estimated = call("stats", "--json", "--memory", env=env).document
    assert not estimated["keys_exact"]
    assert estimated["types"]["vocabulary"]["keys_error"] == 0  # nothing else is in this database
    assert estimated["types"]["vocabulary"]["bytes_error"] > 0
    counted = call("stats", "--json", "--memory", "--exact", env=env).document
    assert counted["keys_exact"]
    assert counted["total"]["keys"] == 6000
    assert counted["total"]["bytes_error"] == 0
    assert abs(counted["total"]["bytes"] - estimated["total"]["bytes"]) < 0.05 * counted["total"]["bytes"]
    assert "bytes" not in call("stats", "--json", env=env).document["total"]
