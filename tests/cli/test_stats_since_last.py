"""``langcache stats --since-last``: every number is exact, and what Redis has lost is said."""

import asyncio
import json
import sys

import pytest

from tests.cli.cli_support import complaint
from tests.harness.cli import finish, start_cli

TRAFFIC = """
import asyncio
from langcache_cli.caching import Cache, CacheSettings

async def traffic(url, first, calls):
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:
        @cache.cached(key_prefix="vocabulary")
        async def word(number: int) -> int:
            return number
        for number in range(calls):
            await word(first + number // 2)  # every other call is a hit
"""
_names: dict = {}
exec(TRAFFIC, _names)


def use(url: str, first: int, calls: int) -> None:
    asyncio.run(_names["traffic"](url, first, calls))


@pytest.fixture
def since(call, tmp_path):
    """Run it with a state file and return the document."""

    def run(url, *options):
        line = ("stats", "--since-last", "--state", str(tmp_path / "state"), *options)
        ended = call(*line, "--json", env={"REDIS_URL": url})
        assert ended.code == 0, ended
        return ended.document

    return run


def numbers(document):
    total = document["total"]
    return total["hits"], total["misses"], total["loads"]


def test_four_processes_several_windows_and_a_restart(own_redis, since, call, tmp_path):
    server = own_redis(appendonly=True)
    first = since(server.url)
    assert first["since_last"]["first_run_reason"] == "does not exist yet"
    assert numbers(first) == (0, 0, 0)
    script = f"{TRAFFIC}\nimport sys\nasyncio.run(traffic(sys.argv[1], int(sys.argv[2]), 200))"
    started = [
        start_cli(server.url, str(1000 * number), command=(sys.executable, "-c", script))
        for number in range(4)
    ]
    assert [finish(process).code for process in started] == [0, 0, 0, 0]
    assert numbers(since(server.url)) == (400, 400, 400)
    quiet = since(server.url)
    assert numbers(quiet) == (0, 0, 0)
    assert quiet["since_last"]["redis_restarted"] is False

    use(server.url, 10_000, 20)
    server.restart()
    use(server.url, 20_000, 30)
    after = since(server.url)
    assert numbers(after) == (25, 25, 25)
    assert after["since_last"]["redis_restarted"] is True
    assert after["since_last"]["lost_hours"] == []
    assert after["total"]["hit_p95_ms"] > 0

    use(server.url, 30_000, 40)
    for key in server.command("KEYS", "cache@stats:*:1h:*"):
        server.command("DEL", key)
    use(server.url, 40_000, 50)
    ended = call("stats", "--since-last", "--state", str(tmp_path / "state"), env={"REDIS_URL": server.url})
    assert "Redis has lost counters since the last run" in ended.stdout
    assert "may be too low" in ended.stdout
    assert ended.stdout.startswith("Since the last run, ")
    row = next(line for line in ended.stdout.splitlines() if line.startswith("vocabulary")).split()
    assert row[2:4] == ["25", "25"]  # those of before were lost
    assert numbers(since(server.url)) == (0, 0, 0)


def test_without_persistence_a_restart_loses_what_was_counted_and_that_is_said(own_redis, since):
    server = own_redis()
    use(server.url, 0, 20)
    since(server.url)
    server.restart(keep_data=False)
    use(server.url, 0, 8)
    found = since(server.url)
    assert numbers(found) == (4, 4, 4)
    assert found["since_last"]["redis_restarted"] is True
    assert len(found["since_last"]["lost_hours"]) == 1


def test_a_file_that_cannot_be_used_is_a_first_run_and_says_so(redis_url, call, tmp_path):
    path = tmp_path / "state"
    line = ("stats", "--since-last", "--state", str(path))
    use(redis_url, 0, 4)
    for content, reason in ((None, "does not exist yet"), ("{", "is damaged")):
        if content is not None:
            path.write_text(content)
        ended = call(*line, env={"REDIS_URL": redis_url})
        assert ended.code == 0
        assert ended.stdout.splitlines()[0] == (
            f"The state file {reason}: this is the first run, and the numbers are those of the last hour."
        )
        assert ended.stdout.splitlines()[2].startswith("Type ")
    other = call(*line, "--namespace", "shop", "--json", env={"REDIS_URL": redis_url}).document
    assert "is of another run: redis" in other["since_last"]["first_run_reason"]
    content = json.loads(path.read_text())
    content["at_seconds"] -= 9 * 86400
    path.write_text(json.dumps(content))
    old = call(*line, "--namespace", "shop", "--format", "nagios", env={"REDIS_URL": redis_url})
    assert "The state file is older than a week" in old.stdout


def test_a_file_that_cannot_be_read_or_written_is_an_error(redis_url, call, tmp_path):
    env = {"REDIS_URL": redis_url}
    folder = call("stats", "--since-last", "--state", str(tmp_path), env=env)
    missing = call("stats", "--since-last", "--state", str(tmp_path / "a" / "b"), "--json", env=env)
    assert folder.code == missing.code == 78
    assert "cannot be read: Is a directory" in complaint(folder)
    assert missing.document["schema"] == "langcache.stats/1"
    assert "No such file or directory" in missing.stderr


def test_a_run_that_fails_leaves_the_file_as_it_was(redis_url, since, tmp_path, call):
    since(redis_url)
    before = (tmp_path / "state").read_text()
    line = ("stats", "--since-last", "--state", str(tmp_path / "state"))
    assert call(*line, env={"REDIS_URL": "redis://127.0.0.1:1/0"}).code == 69
    assert (tmp_path / "state").read_text() == before
