"""``langcache stats`` for other programs: CSV, Prometheus, Nagios; and for one cache type."""

import asyncio
import csv
import io
import json
import re
import shutil
import stat
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.caching.tooling import COUNTERS
from tests.cli.cli_support import complaint, fill, no_noise, url_of
from tests.harness.cli import finish, start_cli

PROMTOOL = shutil.which("promtool") or ""
DOWN = {"REDIS_URL": "redis://127.0.0.1:1/0"}


async def traffic(url: str) -> None:
    """12 hits and 5 misses of vocabulary, one of them a failed load; a value that is not cacheable."""
    settings = CacheSettings.load(env_file=None, redis_url=url)
    async with Cache(settings) as cache:

        @cache.cached(key_prefix="vocabulary")
        async def word(number: int) -> int:
            if number < 0:
                raise ValueError(number)
            return number

        @cache.cached(key_prefix="quiz")
        async def question(number: int) -> object:
            return object()

        for number in range(16):
            await word(number % 4)
        await asyncio.gather(word(-1), return_exceptions=True)
        await question(1)
        await word.invalidate(0)


@pytest.fixture
def env(secured_redis):
    """Redis after that traffic."""
    asyncio.run(traffic(url_of(secured_redis)))
    return {"REDIS_URL": url_of(secured_redis)}


def samples(text):
    """The samples by name, each as labels without the namespace, and value."""
    return {
        (
            sample.name,
            *(value for name, value in sorted(sample.labels.items()) if name != "namespace"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def checked(text):
    """The metrics, after promtool has found nothing wrong with them, where there is one."""
    if PROMTOOL:
        subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, check=True)
    assert all(line.startswith("#") or line.count(" ") == 1 for line in text.splitlines()), "timestamps"
    return samples(text)


def test_csv_has_a_line_for_each_type_or_function(env, call):
    shown = call("stats", "--format", "csv", env=env)
    rows = {row["type"]: row for row in csv.DictReader(io.StringIO(shown.stdout))}
    assert [rows["vocabulary"][name] for name in ("hits", "misses", "load_errors")] == ["12", "5", "1"]
    assert int(rows["vocabulary"]["keys"]) >= 3
    assert float(rows["vocabulary"]["hit_ratio"]) == pytest.approx(12 / 17)
    assert (rows["translation"]["hits"], rows["translation"]["hit_ratio"]) == ("0", "")
    assert {spec.exported_name for spec in COUNTERS.values() if spec.per_function} <= {*rows["quiz"]}
    function = call("stats", "--format=csv", "--type", "vocabulary", env=env)
    (row,) = csv.DictReader(io.StringIO(function.stdout))
    assert (row["prefix"], row["hits"]) == ("vocabulary", "12")
    assert row["function"].endswith("word")
    (head,) = call("stats", "--format=csv", "--type", "video", env=env).stdout.splitlines()
    assert head.split(",") == [*row]


@pytest.mark.skipif(not PROMTOOL, reason="no promtool on the PATH: apt-get install prometheus")
def test_promtool_finds_nothing_wrong(env, call, tmp_path):
    for options in ((), ("--type=vocabulary", "--memory"), ("--since-last", f"--state={tmp_path / 'state'}")):
        ended = call("stats", "--format", "prom", *options, env=env)
        subprocess.run([PROMTOOL, "check", "metrics"], input=ended.stdout, text=True, check=True)


def test_metrics_have_the_numbers_of_the_document(env, call):
    document = call("stats", "--json", env=env).document
    ended = call("stats", "--format", "prom", env=env)
    assert ended.code == 0
    found = checked(ended.stdout)
    assert found["langcache_up",] == found["langcache_redis_reachable",] == 1
    assert 3600 <= found["langcache_window_seconds",] < 3660, "its true length"
    for name, line in document["types"].items():
        assert found["langcache_window_hits", name] == line["hits"]
        assert found["langcache_window_load_errors", name] == line["load_errors"]
        assert found.get(("langcache_window_hit_ratio", name)) == line["hit_ratio"]
    assert found["langcache_window_deferred",] == 0
    assert found["langcache_keys", "vocabulary"] >= 3  # for a second there is a sign of the failed load, too
    assert found["langcache_redis_database_keys",] > 3
    drilled = checked(call("stats", "--format", "prom", "--type", "vocabulary", env=env).stdout)
    assert [value for key, value in drilled.items() if key[0] == "langcache_window_hits"] == [12]
    assert len(next(key for key in drilled if key[0] == "langcache_window_hits")) == 4


def test_the_textfile_is_written_and_nothing_is_said(env, call, tmp_path):
    path = tmp_path / "langcache.prom"
    ended = call("-q", "stats", "--window", "5m", "--textfile", str(path), env=env)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    assert checked(path.read_text())["langcache_window_hits", "vocabulary"] == 12
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    both = call("stats", "--textfile", str(path), "--json", env=env)
    assert both.document["types"]["vocabulary"]["hits"] == 12
    assert [name.name for name in tmp_path.iterdir() if name.suffix == ".prom"] == ["langcache.prom"]


@pytest.mark.parametrize(
    ("changes", "code", "reachable"),
    [(DOWN, 69, 0), ({"REDIS_ENABLED": "false"}, 78, 0), ({"REDIS_URL": "nonsense"}, 78, 0)],
    ids=["down", "disabled", "no URL"],
)
def test_without_redis_the_textfile_says_so(changes, code, reachable, call, tmp_path):
    path = tmp_path / "langcache.prom"
    path.write_text("langcache_up 1\n")
    ended = call("-q", "stats", "--textfile", str(path), env=changes)
    assert ended.code == code
    complaint(ended)
    found = checked(path.read_text())
    assert found == {("langcache_up",): 0, ("langcache_redis_reachable",): reachable}


def test_a_redis_that_refuses_is_reachable(secured_redis, call, tmp_path):
    env = {"REDIS_URL": url_of(secured_redis, password="wrong")}
    ended = call("stats", "--format", "prom", "--textfile", str(tmp_path / "x.prom"), env=env)
    assert ended.code == 77
    assert checked(ended.stdout) == {("langcache_up",): 0, ("langcache_redis_reachable",): 1}
    assert (tmp_path / "x.prom").read_text() == ended.stdout


KILLED = """
import os, sys
os.fsync = lambda number: os.kill(os.getpid(), 9)
from langcache_cli.cli.main import run
run(sys.argv[1:])
"""


def test_a_command_that_is_killed_in_mid_write_leaves_the_textfile_whole(env, tmp_path):
    path = tmp_path / "langcache.prom"
    path.write_text("langcache_up 0\n")
    line = ("stats", "--textfile", str(path))
    assert finish(start_cli(*line, env=env, command=(sys.executable, "-c", KILLED))).code == -9
    assert path.read_text() == "langcache_up 0\n"


def nagios(call, env, *options):
    ended = call("stats", "--format", "nagios", *options, env=env)
    no_noise(ended)
    assert ended.stdout.count("\n") == 1
    assert not ended.stderr
    head, _, figures = ended.stdout.strip().partition(" | ")
    return ended.code, head, figures


@pytest.fixture
def nagios_of(call, secured_redis):
    """The same, of a Redis that answers unless the variables say otherwise."""
    return lambda changes, *options: nagios(call, {"REDIS_URL": url_of(secured_redis), **changes}, *options)


def test_nagios_gets_a_line_and_a_code_from_0_to_3(env, call):
    code, head, figures = nagios(call, env, "--warn-hit-rate", "60", "--crit-hit-rate", "50")
    assert (code, head) == (0, "LANGCACHE OK - hit rate 66.7 % of 18 calls in the last hour")
    assert figures.startswith("'hit_rate'=66.666667%;60:;50: 'hits'=12 'misses'=6 'load_errors'=1 ")
    assert nagios(call, env, "--warn-hit-rate", "70")[:2] == (
        1, "LANGCACHE WARNING - the hit rate is 66.7 %, lower than 70 %",
    )  # fmt: skip
    assert nagios(call, env, "--min-hit-rate", "70")[0] == 2
    assert nagios(call, env, "--crit-hit-rate", "70", "--type", "vocabulary")[0] == 0
    code, head, figures = nagios(call, env, "--crit-hit-rate", "70", "--type", "video")
    assert (code, figures.split()[0]) == (3, "'hit_rate'=U;;70:")
    assert head.startswith("LANGCACHE UNKNOWN - no call was counted in the last hour")


@pytest.mark.parametrize(
    ("options", "changes", "code", "text"),
    [
        ((), DOWN, 2, "LANGCACHE CRITICAL - "),
        ((), {"REDIS_ENABLED": "false"}, 3, "LANGCACHE UNKNOWN - REDIS_ENABLED is false"),
        (("--window", "x"), {}, 3, "LANGCACHE UNKNOWN - --window 'x'"),
        (("--min-hit-rate", "101"), {}, 3, "LANGCACHE UNKNOWN - Invalid value for '--min-hit-rate'"),
        (("--type", "nonsense"), {}, 3, "LANGCACHE UNKNOWN - unknown cache type 'nonsense'"),
    ],
)
def test_errors_are_a_line_for_nagios_too(options, changes, code, text, nagios_of):
    found = nagios_of(changes, *options)
    assert found[0] == code
    assert found[1].startswith(text)


def test_format_json_is_json_on_errors_too(env, call):
    assert call("stats", "--format", "json", env=env).document["schema"] == "langcache.stats/1"
    assert call("stats", "--format=json", env=DOWN).document["exit_code"] == 69
    assert call("stats", "--format=json", "--window=x", env=env).document["exit_code"] == 2


@pytest.mark.parametrize(
    "line",
    [
        "--since-last", "--state x", "--history --type vocabulary", "--history --format prom",
        "--history --textfile x", "--server --type video", "--warn-hit-rate 10 --crit-hit-rate 20",
        "--json --format csv", "--format xml",
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_refused(line, call):
    ended = call("stats", *line.split(), env=DOWN)
    assert ended.code == 2
    assert "--" in json.loads(ended.stdout)["error"]["message"] if "--json" in line else complaint(ended)


def test_a_type_opens_to_its_functions_and_a_low_rate_is_explained(env, call, secured_redis):
    fill(secured_redis, "shop:vocabulary:f:%d", 7)
    secured_redis.command("HSET", "shop@stats:labels", "x", "y")
    fill(secured_redis, "celery:%d", 2)
    document = call("stats", "--type", "vocabulary", "--json", env=env).document
    (function,) = document["functions"]
    assert [function[name] for name in ("type", "prefix", "hits", "load_errors")] == [
        "vocabulary", "vocabulary", 12, 1,
    ]  # fmt: skip
    assert {*document["types"]} == {"vocabulary"}
    assert document["total"]["misses"] == 5
    assert document["other_keys"] == {"keys": 10, "namespaces": {"shop": 7}, "exact": True}
    reasons = [(reason["name"], reason["count"], reason["miss_ratio"]) for reason in document["reasons"]]
    assert reasons == [("no_entry", 4, 0.8), ("load_errors", 1, 0.2), ("invalidated", 1, None)]
    assert {str(reason["parts"]) for reason in document["reasons"]} <= {
        "{'vocabulary': 4}",
        "{'vocabulary': 1}",
    }
    shown = call("stats", env=env).stdout
    assert "uncacheable" in shown
    assert re.search(r"the function behind the cache raised, so nothing was stored +vocabulary 1 +1 ", shown)
    assert "shop" not in shown
    assert "10 (namespace shop 7)" in call("stats", "--memory", env=env).stdout
    assert "refused" not in shown
    drilled = call("stats", "--type", "vocabulary", "--type", "quiz", env=env).stdout
    assert {line.split()[0] for line in drilled.split("\n\n")[0].splitlines()[1:]} == {
        "Type",
        "vocabulary",
        "quiz",
        "all",
    }
    functions = drilled.split("\n\n")[1].splitlines()
    assert functions[1].split()[0].startswith("vocabulary:")
    assert functions[1].split()[1:4] == ["1", "12", "5"]
    quiet = call("stats", "--type", "video", env=env).stdout
    assert "No function of these types was called." in quiet


def test_evictions_are_a_reason(own_redis, call):
    server = own_redis(maxmemory="3mb", policy="allkeys-lru")
    fill(server, "cache:vocabulary:f:%d", 60_000)
    document = call("stats", "--json", env={"REDIS_URL": server.url}).document
    evicted = next(reason for reason in document["reasons"] if reason["name"] == "evicted_keys")
    assert evicted["count"] == document["server"]["evicted_keys"] > 0


def test_only_the_server(env, call):
    shown = call("stats", "--server", env=env).stdout
    assert shown.startswith("Server\n")
    assert "vocabulary" not in shown
    assert "uptime" in shown
    assert re.search(
        r"keyspace hits, all clients +\d+ of \d+, .* \(since start, langcache's own reads included", shown
    )


def test_a_warning_is_said_and_is_no_failure(env, call):
    ended = call("-q", "stats", "--warn-hit-rate", "70", env=env)
    assert ended.code == 0
    assert complaint(ended) == "langcache: warning: the hit rate is 66.7 %, lower than 70 %"
    document = call("stats", "--warn-hit-rate", "70", "--json", env=env)
    assert (document.code, document.stderr) == (0, "")
    assert document.document["verdict"] == {
        "state": "warning", "reason": "the hit rate is 66.7 %, lower than 70 %",
    }  # fmt: skip
