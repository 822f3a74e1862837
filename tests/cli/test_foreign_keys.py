"""Whatever is typed, in whatever order: no key of another application changes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.cli_support import fill, keys_of, url_of

FOREIGN = {
    "cache2:vocabulary:f:%d": 40_000,
    "acache:vocabulary:f:%d": 20_000,
    "celery-task-meta-%d": 39_000,
    "cache-%d": 500,
    "vocabulary:%d": 500,
}
DIGEST = """
local parts = {}
for number = 1, tonumber(ARGV[2]) do
  local key = string.gsub(ARGV[1], '%%d', number)
  parts[#parts + 1] = tostring(redis.call('GET', key)) .. redis.call('PTTL', key)
end
return redis.sha1hex(table.concat(parts, ','))
"""
OWN = ("cache:vocabulary:f:%d", "cache:translation:g:%d", "cache:quiz:%d")

texts = st.sampled_from(
    [
        "*",
        "cache:*",
        "cache2:*",
        "cache*",
        "[c]ache2:*",
        "?ache2:*",
        "\\*",
        "celery*",
        "cache:vocabulary:*",
        "*:f:*",
    ]
)
keys = st.sampled_from(
    ["cache2:vocabulary:f:1", "celery-task-meta-1", "cache:vocabulary:f:1", "cache", "vocabulary:1"]
)
types = st.sampled_from(["vocabulary", "translation", "cache2", "celery"])
commands = st.one_of(
    st.tuples(st.just("clear"), st.just("--pattern"), texts),
    st.tuples(st.just("clear"), st.just("--key"), keys),
    st.tuples(st.just("clear"), st.just("--tag"), texts),
    st.tuples(st.just("clear"), st.just("--type"), types),
    st.just(("clear", "--all")),
    st.tuples(st.just("keys"), st.sampled_from(["get", "ttl"]), keys),
    st.tuples(st.just("keys"), st.just("list"), st.just("--find"), texts),
    st.sampled_from(
        [
            ("warm",),
            ("warm", "--missing-only"),
            ("check", "--roundtrip"),
            ("stats",),
            ("doctor",),
            ("keys", "summary"),
        ]
    ),
)


@pytest.fixture
def full_redis(secured_redis):
    """A server with 100,000 keys of others, and some of ours."""
    for stem, count in FOREIGN.items():
        fill(secured_redis, stem, count)
    return secured_redis


def digests(server) -> list[bytes]:
    """What the keys of others hold, and when they end."""
    return [server.command("EVAL", DIGEST, "0", stem, str(count)) for stem, count in FOREIGN.items()]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(commands, min_size=3, max_size=5))
def test_no_sequence_of_commands_changes_a_key_of_another_application(full_redis, three_words, call, lines):
    env = {"REDIS_URL": url_of(full_redis), "DATABASE_URL": three_words, "LANGCACHE_ENV": "dev"}
    for stem in OWN:
        fill(full_redis, stem, 20)
    before = digests(full_redis)
    for line in lines:
        ended = call(*line, env=env)
        assert ended.code in {0, 1, 2, 3, 4}, (line, ended)
    assert digests(full_redis) == before
    assert sum(not key.startswith(("cache:", "cache@")) for key in keys_of(full_redis)) == 100_000
