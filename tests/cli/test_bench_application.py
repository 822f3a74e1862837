"""``langcache bench --app``: the application's own functions, on the arguments of their warmers."""

import pytest

from tests.cli.cli_support import keys_of, url_of

SOURCE = """
import asyncio, contextlib
from sqlalchemy.ext.asyncio import AsyncSession
from langcache_cli.caching import cached

opened = []

@contextlib.asynccontextmanager
async def database():
    opened.append(True)
    print("opened")
    yield
    opened.clear()

@cached(key_prefix="vocabulary", tags=("word:{number}", "words"), stale_ttl=60)
async def word(number: int) -> dict[str, int]:
    assert opened
    await asyncio.sleep(0.005)
    return {"number": number}

@word.warmer
async def words():
    try:
        yield []
        yield [{"number": number} for number in range(5)]
        raise AssertionError("one batch is enough")
    finally:
        print("ended")

@cached(key_prefix="vocabulary_stats")
async def stats(user_id: int, db: AsyncSession) -> int:
    return user_id

async def all_stats(calls):
    return [call["user_id"] for call in calls]

async def users():
    yield [{"user_id": 1}]

stats.warmer(users, load=all_stats)

class Service:
    @cached(key_prefix="episodes")
    async def episodes(self, number: int) -> int:
        return number

async def numbers():
    yield [{"number": 1}]

Service.episodes.warmer(numbers)
"""
QUICK = ("--duration", "0.02", "--repeat", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of an application: one for all tests, as a module is imported once in a process."""
    path = tmp_path_factory.mktemp("measured")
    (path / "measured_app.py").write_text(SOURCE)
    (path / "idle_app.py").write_text("")
    return path


@pytest.fixture
def measure(secured_redis, folder, monkeypatch, call):
    """`measure(*options)` in that folder."""
    monkeypatch.chdir(folder)
    env = {"REDIS_URL": url_of(secured_redis)}
    return lambda *line, app="measured_app:database": call("bench", *QUICK, "--app", app, *line, env=env)


def test_functions_with_a_warmer_are_measured_and_nothing_is_left(measure, secured_redis):
    ended = measure("--json", "--min-speedup", "2", "--max-p95-ms", "10000")
    assert ended.code == 0, ended
    paths = ended.document["paths"]
    ours = {
        name
        for name in paths
        if not name.startswith(("vocabulary:get", "vocabulary:find", "vocabulary_level"))
    }
    assert ours == {
        "noop",
        "ping",
        "vocabulary:word hit",
        "vocabulary:word origin",
        "vocabulary_stats:stats hit",
    }
    assert all(path["errors"] == 0 for path in paths.values())
    assert paths["vocabulary:word origin"]["p50_ms"] > 5
    assert paths["vocabulary:word hit"]["p50_ms"] < 5
    assert ended.document["speedup_ratio"] > 2
    assert not keys_of(secured_redis), "neither entries, nor tags, nor counters"


def test_what_is_left_out_is_said_and_what_it_prints_is_not_the_result(measure, tmp_path):
    ended = measure("--path", "vocabulary:word", "--path", "noop", "--report", str(tmp_path / "x.html"))
    assert ended.code == 0, ended
    assert "vocabulary:word hit is " in ended.stdout
    assert "opened" not in ended.stdout
    assert "opened\n" in ended.stderr
    assert "ended\n" in ended.stderr
    assert "vocabulary:word origin" in (tmp_path / "x.html").read_text()
    everything = measure("--concurrency", "2")
    assert "episodes:episodes is a method, and is left out" in everything.stderr
    assert "vocabulary_stats:stats is not run uncached: its warmer yields calls without " in everything.stderr


def test_what_is_not_there_is_said(measure):
    unknown = measure("--path", "vocabulary:wordd")
    assert unknown.code == 2
    assert "unknown path 'vocabulary:wordd'; paths: noop, ping, " in unknown.stderr
    assert measure(app="no_such_app").code == 78


def test_a_limit_of_a_path_that_the_application_lacks_is_refused_before_the_run(measure, secured_redis):
    ended = measure("--fail-on", "hit:p95>5ms")
    assert ended.code == 2
    assert "'hit:p95>5ms': the path 'hit' is not measured" in ended.stderr
    assert "Begin the limit with a path and a colon: noop, ping, vocabulary:word hit" in ended.stderr
    assert ended.stdout == ""
    assert not keys_of(secured_redis)
