"""``langcache clear``: all of what was asked for, nothing else, and never without consent."""

import asyncio
import time
from typing import Any

import pytest

from tests.cli.cli_support import complaint, fill, keys_of, url_of
from tests.harness.cli import Terminal, run_cli

OURS = {"cache:vocabulary": 700, "cache:vocabulary_level": 50}
OTHERS = {
    "cache:translation:translate_text": 20_000,
    "cache:vocabulary_stats:get_user_vocabulary_stats:user": 20_000,  # another type, and a longer prefix
    "cache:vocabulary-old": 20_000,
    "cache2:vocabulary": 20_000,
    "celery-task-meta": 19_000,
    "session": 1_000,
}
NAMES = {
    "cache@stats:m:1",
    "cache",
    "vocabulary:f:1",
    "acache:vocabulary:f:1",
    "Cache:vocabulary:f:1",
}
"""Keys that look like those of the type and are none."""
PLAIN = "cache:vocabulary"
"""A plain key that is nothing but a prefix has that prefix's type."""


def test_a_type_is_removed_whole_among_a_hundred_thousand_others_and_nothing_else(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_ENV": "dev"}
    for stem, count in {**OURS, **OTHERS}.items():
        fill(secured_redis, f"{stem}:f:%d", count)
    for name in (*NAMES, PLAIN):
        secured_redis.command("SET", name, "1")
    before = keys_of(secured_redis)
    assert len(before) == 751 + 100_000 + len(NAMES)
    first, second = (run_cli("clear", "--type", "vocabulary", env=env) for _ in range(2))
    assert first.code == second.code == 0
    assert first.stdout == "Removed 751 keys (type vocabulary).\n"
    assert second.stdout == "Removed 0 keys (type vocabulary).\n"
    ours = {key for key in before if key.startswith(("cache:vocabulary:", "cache:vocabulary_level:"))}
    assert keys_of(secured_redis) == before - ours - {PLAIN}


@pytest.fixture
def some_keys(secured_redis) -> set[str]:
    """Keys of three namespaces, the statistics, and somebody else's."""
    keys = {
        "cache:vocabulary:f:1",
        "cache:vocabulary:f:2",
        "cache:vocabulary_level:g:A1:250:0:de",
        "cache:translation:h:Größe:en:de",
        "cache2:vocabulary:f:1",
        "other:vocabulary:f:1",
        "cache@stats:m:1",
        "celery",
    }
    for key in keys:
        secured_redis.command("SET", key, "1")
    return keys


@pytest.mark.parametrize(
    ("options", "removed"),
    [
        (["--pattern", "cache:vocabulary:*"], {"cache:vocabulary:f:1", "cache:vocabulary:f:2"}),
        (["--pattern", "cache:*:f:[2-9]"], {"cache:vocabulary:f:2"}),
        (["--pattern", "cache:vocabulary"], set()),
        (["--key", "cache:vocabulary:f:1"], {"cache:vocabulary:f:1"}),
        (
            ["--key", "cache:vocabulary:f:2", "--key", "cache:translation:h:Größe:en:de", "--key", "cache:x"],
            {"cache:vocabulary:f:2", "cache:translation:h:Größe:en:de"},
        ),
        (["--type", "translation", "--type", "progress"], {"cache:translation:h:Größe:en:de"}),
        (
            ["--all"],
            {
                "cache:vocabulary:f:1",
                "cache:vocabulary:f:2",
                "cache:vocabulary_level:g:A1:250:0:de",
                "cache:translation:h:Größe:en:de",
            },
        ),
        (["--all", "--namespace", "other"], {"other:vocabulary:f:1"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_only_what_is_meant_goes_and_a_dry_run_says_so_before(
    options, removed, some_keys, secured_redis, call
):
    env = {"REDIS_URL": url_of(secured_redis)}
    noun = "key" if len(removed) == 1 else "keys"
    dry = call("clear", *options, "-n", env=env)
    assert dry.code == 0
    assert dry.stdout.startswith(f"Would remove {len(removed)} {noun} ")
    assert {line.strip() for line in dry.stdout.splitlines()[1:]} == removed
    assert keys_of(secured_redis) == some_keys
    real = call("clear", *options, "--yes", env=env)
    assert real.code == 0
    assert real.stdout.startswith(f"Removed {len(removed)} {noun} ")
    assert keys_of(secured_redis) == some_keys - removed


TAGGED = """
import asyncio, sys
from langcache_cli.caching import Cache, CacheSettings

async def use(url, version):
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:
        @cache.cached(key_prefix="user_stats", tags=("user:{user}",))
        async def stats(user: int) -> int:
            return version
        return [await stats(4), await stats(42)]
"""


def test_a_tag_invalidates_what_has_it_and_nothing_else(secured_redis, call):
    names: dict[str, Any] = {}
    exec(TAGGED, names)
    url = url_of(secured_redis)
    assert asyncio.run(names["use"](url, 0)) == [0, 0]
    dry = call("clear", "--tag", "user:4", "--tag", "user:5", "-n", env={"REDIS_URL": url})
    assert dry.stdout.splitlines() == ["Would invalidate 1 tag (tag user:4, user:5).", "  user:4"]
    assert asyncio.run(names["use"](url, 1)) == [0, 0]
    real = call("clear", "--tag", "user:4", "-y", env={"REDIS_URL": url})
    assert (real.code, real.stdout) == (0, "Invalidated 1 tag (tag user:4).\n")
    assert asyncio.run(names["use"](url, 1)) == [1, 0]
    unknown = call("clear", "--tag", "user:7", "-y", "--json", env={"REDIS_URL": url})
    assert (unknown.code, unknown.document["tags"]) == (0, 0)


def test_a_dry_run_shows_five_examples_and_counts_the_rest(secured_redis, call):
    fill(secured_redis, "cache:vocabulary:f:%d", 1234)
    ended = call("clear", "--all", "--dry-run", env={"REDIS_URL": url_of(secured_redis)})
    lines = ended.stdout.splitlines()
    assert lines[0] == "Would remove 1,234 keys (every key of the namespace)."
    assert len(lines) == 7
    assert lines[-1] == "  and 1,229 more"


def test_an_unknown_type_beside_a_known_one_clears_nothing(some_keys, secured_redis, call):
    ended = call(
        "clear", "-y", "--type", "vocabulary", "--type", "x", env={"REDIS_URL": url_of(secured_redis)}
    )
    assert ended.code == 2
    assert "'x'" in complaint(ended)
    assert keys_of(secured_redis) == some_keys


@pytest.mark.parametrize(
    "case",
    [
        ("dev", [], 0),
        ("dev", ["--yes"], 0),
        ("dev", ["--confirm", "cache"], 0),
        ("dev", ["--confirm", "cach"], 4),
        ("", [], 4),
        ("", ["--yes"], 0),
        ("", ["--confirm", "cache"], 0),
        ("", ["--yes", "--confirm", "other"], 4),
        ("prod", [], 4),
        ("prod", ["--yes"], 4),
        ("prod", ["--confirm", "other"], 4),
        ("prod", ["--confirm", "cache"], 0),
        ("prod", ["--dry-run"], 0),
    ],
    ids=lambda case: " ".join([case[0] or "unset", *case[1]]),
)
def test_consent_depends_on_the_environment(case, some_keys, secured_redis, call):
    environment, consent, code = case
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_ENV": environment}
    ended = call("clear", "--type", "vocabulary", *consent, env=env)
    assert ended.code == code
    assert f"env={environment or 'unset'}\n" in ended.stderr
    happened = code == 0 and "--dry-run" not in consent
    assert len(some_keys - keys_of(secured_redis)) == (3 if happened else 0)
    if code:
        assert complaint(ended)
        assert not ended.stdout


def test_the_document_of_a_clear_says_what_and_how_many(some_keys, secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    ended = call("clear", "--type=vocabulary", "--yes", "--json", env=env)
    fields = ("selection", "keys", "dry_run", "by_type", "samples")
    assert {name: ended.document[name] for name in fields} == {
        "selection": "type vocabulary",
        "keys": 3,
        "dry_run": False,
        "by_type": {"vocabulary": 3},
        "samples": ["cache:vocabulary:f:1", "cache:vocabulary:f:2", "cache:vocabulary_level:g:A1:250:0:de"],
    }


def test_a_dry_run_has_the_document_of_the_clear(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    fill(secured_redis, "cache:vocabulary:f:%d", 700)
    fill(secured_redis, "cache:translation:f:%d", 300)
    secured_redis.command("SET", b"cache:orders:\xff", "1")
    dry, real = (call("clear", "--all", *options, "--json", env=env).document for options in (["-n"], ["-y"]))
    assert dry["keys"] == real["keys"] == 1001
    assert dry["by_type"] == real["by_type"] == {"orders": 1, "translation": 300, "vocabulary": 700}
    assert [len(document["samples"]) for document in (dry, real)] == [10, 10]
    assert not keys_of(secured_redis)


def test_a_key_is_cleared_as_it_is_listed_whatever_its_bytes(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    for key in (b"cache:orders:\xff", b"cache:orders:\n", b"cache:orders:%0A", b"cache:orders:%0B"):
        secured_redis.command("SET", key, "1")
    listed = call("keys", "list", env=env).stdout
    assert "cache:orders:%FF\torders\t" in listed
    cleared = call("clear", "--key=cache:orders:%FF", "--key=cache:orders:%0B", "-y", "--json", env=env)
    assert (cleared.document["keys"], cleared.document["by_type"]) == (2, {"orders": 2})
    # of two keys that it may mean, the one that it spells
    assert call("clear", "--key=cache:orders:%0A", "-y", env=env).stdout.startswith("Removed 1 key ")
    assert keys_of(secured_redis) == {"cache:orders:\n"}


def test_a_clear_shows_on_a_terminal_how_far_it_is(secured_redis):
    fill(secured_redis, "cache:vocabulary:f:%d", 2_000)
    env = {"REDIS_URL": url_of(secured_redis)}
    with Terminal("clear", "--all", "--yes", "--rate", "4000", env=env) as terminal:
        terminal.expect("removing")
        ended = terminal.finish()
    assert ended.code == 0
    assert "Removed 2,000 keys" in ended.stdout


def test_a_rate_makes_it_take_its_time(secured_redis, call):
    fill(secured_redis, "cache:vocabulary:f:%d", 600)
    fill(secured_redis, "cache:translation:f:%d", 600)
    started = time.monotonic()
    cleared = call(
        "clear", "--type", "vocabulary", "--rate", "1000", "--yes", env={"REDIS_URL": url_of(secured_redis)}
    )
    assert time.monotonic() - started >= 0.5
    assert cleared.stdout == "Removed 600 keys (type vocabulary).\n"
    assert len(keys_of(secured_redis)) == 600


@pytest.mark.parametrize("rate", ["0", "-1", "fast"])
def test_a_rate_is_a_number_of_keys(rate, secured_redis, call):
    refused = call("clear", "--all", "--rate", rate, "--yes", env={"REDIS_URL": url_of(secured_redis)})
    assert refused.code == 2
    assert "--rate" in refused.stderr


def test_a_foreign_key_cannot_speak_to_the_terminal(secured_redis):
    secured_redis.command("SET", b"cache:\x1b[31mred\n", "1")
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_ENV": "dev"}
    shown = run_cli("clear", "--all", "--dry-run", env=env).stdout
    assert "cache:%1B[31mred%0A" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("rate", ["inf", "nan", "0", "-1"])
def test_a_rate_that_is_none_is_refused(secured_redis, rate):
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_ENV": "dev"}
    assert run_cli("clear", "--all", "--rate", rate, env=env).code == 2


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("cache:vocab:*", "no cache type has the prefix 'vocab'; keys begin with cache:PREFIX:FUNCTION:, "),
        ("cache:get_vocabulary_word:*", "such as cache:vocabulary:"),
        ("cache:video:*", "'video' is a cache type, and no key begins with it; use --type video"),
        ("cache:vocabulary:f:9*", None),
        ("cache:orders:*", None),  # an application may have such a prefix
        ("cache:*Haus*", None),
        ("cache:vocab:f:*", None),  # matches a plain key
    ],
)
def test_a_pattern_that_matched_nothing_is_explained_where_it_is_certain(pattern, says, secured_redis, call):
    secured_redis.command("SET", "cache:vocab:f:1", "1")
    if pattern == "cache:vocab:*":
        secured_redis.command("DEL", "cache:vocab:f:1")
    ended = call("clear", "--pattern", pattern, "-n", env={"REDIS_URL": url_of(secured_redis)})
    assert ended.code == 0
    assert ("matched no key" in ended.stderr) == (says is not None)
    assert (says or "") in ended.stderr


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--json",), ("--dry-run", "--json")], ids=" ".join)
def test_to_clear_keys_of_which_none_is_there_fails(options, secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_ENV": "dev"}
    secured_redis.command("SET", "cache:vocabulary:f:1", "v")
    ended = call("clear", "--key", "cache:vocabulary:f:0", *options, env=env)
    assert ended.code == 1
    assert complaint(ended) == "langcache: there is no key 'cache:vocabulary:f:0'"
    some = call("clear", "--key=cache:vocabulary:f:0", "--key=cache:vocabulary:f:1", *options, env=env)
    assert some.code == 0
