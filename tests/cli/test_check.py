"""``langcache check``: what has to be warm, thresholds, and formats for CI and monitoring."""

import asyncio
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from langcache_cli.caching import Cache, CacheSettings
from tests.cli.cli_support import complaint, fill, no_noise, url_of
from tests.harness.cli import cli_environment

DOWN = {"REDIS_URL": "redis://127.0.0.1:1/0"}


async def traffic(url: str) -> None:
    """Three hits and a miss; a load that failed, of which a sign is left for a second."""
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:

        @cache.cached(key_prefix="vocabulary")
        async def word(number: int) -> int:
            return number

        for _ in range(4):
            await word(1)


@pytest.fixture
def env(secured_redis):
    asyncio.run(traffic(url_of(secured_redis)))
    return {"REDIS_URL": url_of(secured_redis)}


@pytest.fixture
def nagios(call):
    """The exit code, the line before its figures, and the figures."""

    def run(env, *options):
        ended = call("check", "--format", "nagios", *options, env=env)
        no_noise(ended)
        assert ended.stdout.count("\n") == 1
        assert not ended.stderr
        return (ended.code, *ended.stdout.strip().split(" | "))

    return run


def results(ended):
    return {check["name"]: check["result"] for check in ended.document["checks"]}


def test_what_must_be_warm_and_how_many_keys(env, call, secured_redis):
    fill(secured_redis, "cache:quiz:f:%d", 700)
    good = call(
        "check", "--require-warm", "vocabulary", "--min-keys", "quiz=700", "--min-keys=vocabulary=1",
        "--json", env=env,
    )  # fmt: skip
    assert good.code == 0
    assert results(good) == {
        "redis": "ok",
        "warm vocabulary": "ok",
        "keys quiz": "ok",
        "keys vocabulary": "ok",
    }
    cold = call("check", "--require-warm", "translation", env=env)
    assert cold.code == 1
    assert complaint(cold) == "langcache: 1 check failed"
    assert cold.stdout.splitlines()[-1].startswith("Run 'langcache warm --app MODULE:ATTRIBUTE'")
    assert cold.stdout.count("the cache type translation has no entry") == 1
    few = call("check", "--min-keys", "quiz=1_000", "--json", env=env)
    assert few.code == 1
    assert few.document["checks"][1]["detail"] == "the cache type quiz has 700 keys, fewer than 1,000"
    assert few.document["checks"][1]["keys"] == 700
    misspelt = call("check", "--require-warm", "vocabluary", env=env)
    assert misspelt.code == 1
    assert "is no cache type of the settings" in misspelt.stdout.splitlines()[-1]


def test_the_sign_of_a_load_is_no_warm_entry(secured_redis, call):
    secured_redis.command(
        "SET", "cache:translation:f:1", "lc1 lease id=5c07a1be9f3d2264 created=1795420171390"
    )
    secured_redis.command(
        "SET", "cache:translation:f:2", "lc1 error id=5c07a1be9f3d2264 created=1795420171390"
    )
    env = {"REDIS_URL": url_of(secured_redis)}
    assert call("check", "--require-warm", "translation", env=env).code == 1
    assert call("check", "--min-keys", "translation=2", env=env).code == 0


def test_thresholds_of_hit_rate_and_latency(env, call):
    good = call(
        "check", "--crit-hit-rate=70", "--warn-hit-rate=75", "--crit-latency=60000", "--json", env=env
    )
    assert results(good) == {"redis": "ok", "latency": "ok", "hit rate": "ok"}
    assert good.document["checks"][2]["hit_ratio"] == 0.75
    assert 0 < good.document["checks"][1]["latency_ms"] < 60_000
    warned = call("-q", "check", "--warn-hit-rate", "80", env=env)
    assert (warned.code, warned.stdout) == (0, "")
    assert complaint(warned) == "langcache: warning: hit rate: the hit rate is 75.0 %, lower than 80 %"
    poor = call("-q", "check", "--crit-hit-rate", "80", env=env)
    assert (poor.code, poor.stdout) == (1, "")
    assert complaint(poor) == "langcache: hit rate: the hit rate is 75.0 %, lower than 80 %"
    slow = call("-q", "check", "--crit-latency", "0", env=env)
    assert slow.code == 1
    assert re.search(r"a round trip to Redis takes [\d.]+ ms, longer than 0 ms", complaint(slow))


def test_a_hit_rate_of_no_calls_is_unknown(secured_redis, call, nagios):
    env = {"REDIS_URL": url_of(secured_redis)}
    ended = call("check", "--crit-hit-rate", "1", "--json", env=env)
    assert ended.code == 1
    assert results(ended)["hit rate"] == "unknown"
    code, head, figures = nagios(env, "--crit-hit-rate", "1")
    assert code == 3
    assert head.startswith("LANGCACHE UNKNOWN - hit rate: no call was counted in the last hour")
    assert figures.endswith("'hit_rate'=U;;1:")


def test_nagios_has_four_codes(env, nagios):
    code, head, figures = nagios(env, "--warn-latency=60000", "--crit-hit-rate=10", "--min-keys=vocabulary=1")
    assert code == 0
    assert head.startswith("LANGCACHE OK - redis: Redis ")
    assert re.fullmatch(
        r"'redis'=[\d.]+s 'latency'=[\d.]+s;60 'hit_rate'=75%;;10: 'keys_vocabulary'=1;;1:", figures
    )
    assert nagios(env, "--warn-hit-rate", "80")[:2] == (
        1, "LANGCACHE WARNING - hit rate: the hit rate is 75.0 %, lower than 80 %",
    )  # fmt: skip
    code, head, _ = nagios(env, "--require-warm", "video")
    assert code == 2
    assert head == (
        "LANGCACHE CRITICAL - warm video: the cache type video has no entry; "
        "Run 'langcache warm --app MODULE:ATTRIBUTE', with an application that fills video."
    )


def test_each_failure_is_said_once_with_its_advice(env, call):
    line = ("check", "--require-warm=video", "--crit-hit-rate=80", "--warn-latency=0")
    shown = call(*line, env=env)
    assert shown.code == 1
    assert shown.stderr.splitlines()[-1] == "langcache: 2 checks failed, 1 warning"
    assert shown.stdout.splitlines()[-3:] == [
        "",
        "warm video: Run 'langcache warm --app MODULE:ATTRIBUTE', with an application that fills video.",
        "hit rate: Run 'langcache stats --type vocabulary': it says what explains the rate.",
    ]
    quiet = call("-q", *line, env=env)
    assert (quiet.code, quiet.stdout) == (1, "")
    warning, *failures = quiet.stderr.splitlines()
    assert warning.startswith("langcache: warning: latency: a round trip")
    assert failures == [
        "langcache: hit rate: the hit rate is 75.0 %, lower than 80 %",
        "Run 'langcache stats --type vocabulary': it says what explains the rate.",
        "langcache: warm video: the cache type video has no entry",
        "Run 'langcache warm --app MODULE:ATTRIBUTE', with an application that fills video.",
    ]
    warned = call("check", "--warn-hit-rate=80", env=env)
    assert (warned.code, warned.stderr.splitlines()[-1]) == (0, "langcache: 1 warning")


@pytest.mark.parametrize(
    ("env", "options", "code", "text"),
    [
        (DOWN, (), 2, "redis: "),
        ({"REDIS_ENABLED": "false"}, (), 2, "REDIS_ENABLED is false: the application uses no cache"),
        ({"REDIS_URL": "nonsense"}, (), 3, "REDIS_URL"),
        (DOWN, ("--min-keys", "vocabulary"), 3, "--min-keys 'vocabulary'"),
        (DOWN, ("--crit-latency", "x"), 3, "--crit-latency"),
        (DOWN, ("--warn-latency", "5", "--crit-latency", "1"), 3, "must be worse"),
    ],
)
def test_errors_are_a_line_for_nagios_too(env, options, code, text, nagios):
    found = nagios(env, *options)
    assert found[0] == code
    assert text in found[1]


def test_junit_is_xml_with_a_case_for_each_check(env, call):
    ended = call("check", "--format", "junit", "--require-warm", "video", "--warn-hit-rate", "80", env=env)
    assert ended.code == 1
    (suite,) = ET.fromstring(ended.stdout)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    cases = {case.get("name"): case for case in suite}
    assert [*cases] == ["redis", "warm video", "hit rate"]
    assert cases["warm video"].find("failure").get("message") == "the cache type video has no entry"
    assert cases["hit rate"].find("failure") is None
    assert cases["hit rate"].findtext("system-out").startswith("warning: the hit rate is 75.0 %")
    assert float(cases["redis"].get("time")) >= 0
    complaint(ended)


def test_github_gets_annotations(env, call):
    ended = call("check", "--format", "github", "--require-warm", "video", "--warn-hit-rate", "80", env=env)
    assert ended.code == 1
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("ok: redis: Redis ")
    assert lines[1] == (
        "::error title=langcache%3A warm video::the cache type video has no entry; "
        "Run 'langcache warm --app MODULE:ATTRIBUTE', with an application that fills video."
    )
    assert lines[2] == (
        "::warning title=langcache%3A hit rate::the hit rate is 75.0 %25, lower than 80 %25; "
        "Run 'langcache stats --type vocabulary': it says what explains the rate."
    )


@pytest.mark.parametrize("format_", ["junit", "github"])
def test_ci_gets_a_report_when_nothing_can_be_checked(format_, call):
    for env, code in (({"REDIS_ENABLED": "false"}, 78), (DOWN, 69)):
        ended = call("check", "--format", format_, env=env)
        assert ended.code == code
        if format_ == "junit":
            assert ET.fromstring(ended.stdout)[0].get("failures") == "1"
        else:
            assert ended.stdout.startswith("::error title=langcache%3A ")
        complaint(ended)


def test_a_type_is_no_pattern(call):
    for line in ("--require-warm *", "--min-keys v*=1", "--min-keys vocabulary=0", "--format xml"):
        assert call("check", *line.split(" "), env=DOWN).code == 2


LOADED = """
import sys
import time
sys.argv = ["langcache"]
from langcache_cli.cli.main import run
codes = [run(line.split()) for line in (
    "check --roundtrip --require-warm vocabulary --crit-hit-rate 0 --crit-latency 60000", "stats --memory",
    "stats --format prom", "check --format nagios", "stats --since-last --state %s",
)]
heavy = ("sqlalchemy", "fastapi", "rich.table", "redis", "langcache_cli.vocabulary", "langcache_cli.servers")
print([*map(int, codes)], [name for name in heavy if name in sys.modules])
"""


def test_without_a_database_neither_sqlalchemy_nor_the_application_is_loaded(env, tmp_path):
    (tmp_path / "app.py").write_text("raise SystemExit('the application was imported')\n")
    done = subprocess.run(
        [sys.executable, "-c", LOADED % (tmp_path / "state")],
        env=cli_environment({**env, "DATABASE_URL": None}),
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0, 0] []"


@pytest.fixture
def hanging(own_redis, monkeypatch):
    """A Redis that hangs as soon as it has said what it is."""
    server = own_redis()
    for name in ("server_report", "usability"):
        original = getattr(Cache, name)

        async def hang(cache, original=original):
            found = await original(cache)
            server.pause()
            return found

        monkeypatch.setattr(Cache, name, hang)
    yield {"REDIS_URL": server.url}
    server.resume()


@pytest.mark.parametrize(
    "line",
    [
        "stats",
        "stats --since-last --state state",
        "check --crit-hit-rate 1",
        "check --require-warm vocabulary",
    ],
)
def test_a_redis_that_hangs_later_costs_no_more_than_the_timeout(line, hanging, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    ended = call(*line.split(), "--timeout", "0.2", env=hanging)
    assert ended.code == 69
    assert time.monotonic() - started < 9, "bulk work waits for ten seconds"
    complaint(ended)
