"""``langcache keys``: what is there, one entry, and nothing outside the namespace."""

import asyncio
import json
import re
import sys

import pytest
from pydantic import SecretStr

from langcache_cli.caching import Cache, CacheSettings
from tests.cli.cli_support import complaint, fill, keys_of, url_of
from tests.harness.cli import Terminal, finish, start_cli

FOREIGN = {"cache2:vocabulary:f:1", "celery", "cache@stats:x"}
BINARY = b"cache:vocabulary:f:\xff\x1b[31m"


@pytest.fixture
def env(secured_redis):
    """What the command needs to find the server."""
    return {"REDIS_URL": url_of(secured_redis)}


@pytest.fixture
def use(secured_redis):
    """`use(work)` awaits `work(cache)` with a cache on the server."""

    def run(work, **settings):
        async def in_cache():
            chosen = CacheSettings.load(
                env_file=None, redis_url=SecretStr(url_of(secured_redis)), operation_timeout=5.0, **settings
            )
            async with Cache(chosen, publish_statistics=False) as cache:
                return await work(cache)

        return asyncio.run(in_cache())

    return run


async def tagged(cache):
    """One entry with two tags."""

    @cache.cached(key_prefix="user_stats", tags=("user:{user_id}", "users"), stale_ttl=600)
    async def get_stats(user_id: int) -> dict[str, int]:
        return {"user": user_id, "learned": 3}

    await get_stats(42)
    return get_stats.key_for(42)


def test_keys_of_the_namespace_are_listed_page_by_page_and_no_others(secured_redis, call, env):
    fill(secured_redis, "cache:vocabulary:f:%d", 120)
    fill(secured_redis, "cache:translation:g:%d", 30)
    for name in (*FOREIGN, "cache:vocabulary:f:1"):
        secured_redis.command("SET", name, "1", "EX", 500)
    secured_redis.command("SET", BINARY, "1")
    found, cursor, pages = {}, "", 0
    while True:
        page = call(
            "keys", "list", "--limit", "40", *(["--cursor", cursor] if cursor else []), "--json", env=env
        )
        assert page.code == 0, page
        assert page.document["schema"] == "langcache.keys.list/1"
        assert len(page.document["keys"]) <= 40
        found |= {row["key"]: row for row in page.document["keys"]}
        pages += 1
        if not (cursor := page.document["cursor"]):
            break
    assert pages >= 4
    assert len(found) == 151
    assert found["cache:vocabulary:f:1"]["type"] == "vocabulary"
    assert 490 < found["cache:vocabulary:f:1"]["ttl_seconds"] <= 500
    assert found["cache:vocabulary:f:2"]["ttl_seconds"] is None
    assert found["cache:vocabulary:f:2"]["bytes"] > 20
    assert "cache:vocabulary:f:%FF%1B[31m" in found


def test_a_pipe_gets_one_key_a_line_and_is_told_how_to_go_on(secured_redis, call, env):
    fill(secured_redis, "cache:vocabulary:f:%d", 3)
    fill(secured_redis, "cache:translation:g:%d", 300)
    shown = call("keys", "list", "--type=vocabulary", env=env)
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert sorted(row[0] for row in rows) == [f"cache:vocabulary:f:{number}" for number in (1, 2, 3)]
    assert {(row[1], row[2]) for row in rows} == {("vocabulary", "-")}
    assert all(row[3].isdigit() for row in rows)
    assert [call("keys", "list", "--find=g:30", env=env).stdout.count("\n")] == [2]  # 30 and 300
    first = call("keys", "list", "--limit=10", env=env)
    assert first.stdout.count("\n") == 10
    cursor = re.search(r"go on with --cursor (\S+)", first.stderr)
    assert cursor is not None, first
    assert call("keys", "list", "--cursor", cursor[1], env=env).code == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("list", "--cursor", "x"), "'x' is no cursor"),
        (("list", "--type", "nonesuch"), "nonesuch"),
        (("get", "other:key"), "outside the namespace 'cache'"),
        (("ttl", "cache@tag:user:42"), "outside the namespace 'cache'"),
        (("get", "cache2:vocabulary:f:1"), "outside the namespace 'cache'"),
    ],
)
def test_what_cannot_be_looked_at_is_2(line, says, call, env):
    refused = call("keys", *line, env=env)
    assert refused.code == 2
    assert says in complaint(refused)


def test_a_key_that_is_not_there_is_1_with_what_to_type(call, env):
    for command in ("get", "ttl"):
        missing = call("keys", command, "cache:vocabulary:get_word:7", env=env)
        assert missing.code == 1
        assert "there is no key 'cache:vocabulary:get_word:7'" in complaint(missing)
        assert "langcache keys list --find get_word" in missing.stderr


def test_an_entry_is_decoded_with_its_tags_until_one_is_invalidated(use, call, env):
    key = use(tagged)
    found = call("keys", "get", key, "--json", env=env).document
    assert (found["state"], found["kind"], found["type"]) == ("fresh", "entry", "progress")
    assert [(tag["tag"], tag["holds"]) for tag in found["tags"]] == [("user:42", True), ("users", True)]
    assert json.loads(found["value"]) == {"user": 42, "learned": 3}
    assert 200 < found["fresh_seconds"] <= 300
    assert 800 < found["ttl_seconds"] <= 900
    shown = call("keys", "get", key, env=env).stdout
    assert "state       fresh: a call is a hit, for " in shown
    assert re.search(r"tag         user:42: version [0-9a-f]{16}, holds", shown)
    assert '\n{\n  "user": 42,\n  "learned": 3\n}\n' in shown
    assert call("keys", "get", key, "--raw", env=env).stdout == '{"user":42,"learned":3}\n'
    left = call("keys", "ttl", key, env=env).stdout.splitlines()
    assert re.fullmatch(r"(8\d\d|900) s left \(1[45] min\)", left[0]), left
    assert left[1].startswith("fresh: ")

    async def invalidate(cache):
        await cache.invalidate_tags("users")

    use(invalidate)
    found = call("keys", "get", key, "--json", env=env).document
    assert found["state"] == "invalidated"
    assert [(tag["tag"], tag["holds"]) for tag in found["tags"]] == [("user:42", True), (None, False)]
    assert ", and not fresh any more: a tag has changed" in call("keys", "get", key, env=env).stdout


def test_a_listing_marks_entries_of_which_a_tag_was_invalidated(use, call, env, secured_redis):
    key = use(tagged)
    fill(secured_redis, "cache:vocabulary:f:%d", 2)
    (row,) = [row for row in call("keys", "list", "--json", env=env).document["keys"] if row["key"] == key]
    assert row["invalidated"] is False

    async def invalidate(cache):
        await cache.invalidate_tags("user:42")

    use(invalidate)
    rows = call("keys", "list", "--json", env=env).document["keys"]
    assert [row["key"] for row in rows if row["invalidated"]] == [key]
    (line,) = [one for one in call("keys", "list", env=env).stdout.splitlines() if one.startswith(key)]
    assert line.endswith("\tinvalidated")


def test_a_stale_a_leased_and_a_loading_key_are_told_apart(secured_redis, call, env):
    head = (
        "lc1 entry id=8d6eb6c50cbab1c5 leased={} created=1795420171538 fresh={} load_us=1500 schema=b3e60412"
    )
    later, earlier = 4102444800000, 1795420171539
    cases = {
        "stale": head.format("0" * 13, earlier) + "\n1",
        "leased": head.format(later, earlier) + "\n1",
        "loading": "lc1 lease id=5c07a1be9f3d2264 created=1795420171390",
        "failed": "lc1 error id=5c07a1be9f3d2264 created=1795420171390\n{}",
        "foreign": "whatever",
    }
    for state, stored in cases.items():
        secured_redis.command("SET", f"cache:vocabulary:f:{state}", stored, "EX", 50)
        found = call("keys", "ttl", f"cache:vocabulary:f:{state}", "--json", env=env).document
        assert found["state"] == state
        assert 40 < found["ttl_seconds"] <= 50
        assert (found["lease_seconds"] is not None) == (state in {"leased", "loading"})
        assert f"{state}" in call("keys", "ttl", f"cache:vocabulary:f:{state}", env=env).stdout


def test_hostile_keys_and_values_are_shown_escaped_and_can_be_addressed(secured_redis, call, env):
    secured_redis.command("SET", BINARY, b"\x1b[2J\xff\ttext")
    shown = call("keys", "get", "cache:vocabulary:f:%FF%1B[31m", env=env)
    assert shown.code == 0, shown
    assert "\x1b" not in shown.stdout
    assert "\\x1b[2J\\xff\ttext" in shown.stdout
    secured_redis.command("HSET", "cache:vocabulary:f:hash", "a", "1")
    assert "WRONGTYPE" in call("keys", "get", "cache:vocabulary:f:hash", env=env).stdout


def test_a_large_value_is_cut_and_whole_with_raw(use, call, env):
    async def store(cache):
        @cache.cached(key_prefix="vocabulary")
        async def words() -> list[str]:
            return ["Größe"] * 20_000

        await words()
        return words.key_for()

    key = use(store)
    shown = call("keys", "get", key, env=env).stdout
    assert "value compressed with zstd" in shown
    assert len(shown) < 6_000
    assert shown.endswith("... cut here; --raw prints all of it\n")
    assert json.loads(call("keys", "get", key, "--raw", env=env).stdout) == ["Größe"] * 20_000


def test_a_value_that_no_reader_would_take_is_3(secured_redis, call, env):
    secured_redis.command("SET", "cache:vocabulary:f:1", (2**20 + 1) * b"x")
    limit = {**env, "LANGCACHE_MAX_DECOMPRESSED_BYTES": "1048576"}
    refused = call("keys", "get", "cache:vocabulary:f:1", "--raw", env=limit)
    assert refused.code == 3
    assert "longer than 1,048,576 bytes" in complaint(refused)


def test_a_summary_counts_few_keys_and_samples_many(secured_redis, call, env):
    fill(secured_redis, "cache:vocabulary:f:%d", 30)
    for name in (*FOREIGN, "cache:translation:g:1"):
        secured_redis.command("SET", name, "1", "EX", 500)
    found = call("keys", "summary", "--json", env=env).document
    assert found["exact"]
    assert (found["types"]["vocabulary"]["keys"], found["types"]["vocabulary"]["keys_error"]) == (30, 0)
    assert found["types"]["vocabulary"]["seen_without_ttl"] == 30
    assert 490 < found["types"]["translation"]["ttl_median_seconds"] <= 500
    assert (found["all"]["keys"], found["own"]["keys"], found["other"]["keys"]) == (31, 1, 2)
    fill(secured_redis, "cache:vocabulary:f:%d", 6_000)
    fill(secured_redis, "others:%d", 6_000)
    found = call("keys", "summary", "--json", env=env).document
    words = found["types"]["vocabulary"]
    assert not found["exact"]
    assert abs(words["keys"] - 6_000) < 4 * words["keys_error"]
    assert 0 < words["keys_error"] < 600
    assert (
        call("keys", "summary", "--exact", "--json", env=env).document["types"]["vocabulary"]["keys"] == 6_000
    )
    shown = call("keys", "summary", env=env).stdout
    assert re.search(r"vocabulary +≈[\d,]+ ±[\d,]+ +≈", shown), shown


def test_a_sample_that_may_not_be_drawn_is_no_zero(own_redis, call):
    server = own_redis()
    fill(server, "cache:vocabulary:f:%d", 6_000)
    server.command("ACL", "SETUSER", "app", "on", ">app-secret", "~*", "+@all", "-randomkey")
    env = {"REDIS_URL": f"redis://app:app-secret@{server.host}:{server.port}/0"}
    refused = call("keys", "summary", env=env)
    assert refused.code == 77
    assert "no key can be looked at: NOPERM" in complaint(refused)
    exact = call("keys", "summary", "--exact", "--json", env=env).document
    assert exact["types"]["vocabulary"]["keys"] == 6_000


def test_a_narrow_terminal_gets_whole_keys_and_nothing_is_written(secured_redis, env):
    secured_redis.command("SET", "cache:vocabulary:f:1", "1")
    before = keys_of(secured_redis)
    with Terminal("keys", "list", env=env, columns=60) as terminal:
        shown = terminal.finish()
    assert shown.code == 0
    assert re.search(r"cache:vocabulary:f:1 +vocabulary +no TTL +\d+ B", shown.stdout), shown
    assert keys_of(secured_redis) == before


def test_no_database_library_is_loaded(secured_redis, env):
    secured_redis.command("SET", "cache:vocabulary:f:1", "1")
    program = """
import sys
from langcache_cli.cli.main import run
for line in ("list", "summary", "get cache:vocabulary:f:1", "ttl cache:vocabulary:f:1"):
    assert run(["keys", *line.split()]) == 0
print("sqlalchemy" in sys.modules, "langcache_cli.vocabulary" in sys.modules)
"""
    ended = finish(start_cli(env=env, command=(sys.executable, "-c", program)))
    assert ended.code == 0, ended
    assert ended.stdout.endswith("\nFalse False\n")
