"""Clearing by pattern: escaped text matches only itself, and nothing outside the namespace is reached."""

import re
from fnmatch import fnmatchcase

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching import CacheSettings, PatternError, escape_pattern
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.selection import Selection, select_prefixes
from langcache_cli.caching._protocol.scanning import KEYS_PER_UNLINK, SCANS_PER_UNLINK, unlink
from langcache_cli.caching.tooling import Namespace
from tests.harness.redis_server import RedisServer
from tests.unit.values import texts

INSIDE = Namespace("cache", CacheSettings(_env_file=None).types)

glob_text = st.text(st.sampled_from("*?[]\\^-!abc:é \n"), max_size=6)


@pytest.fixture(scope="module")
def client(redis_server: RedisServer) -> redis.Redis:
    with redis.Redis.from_url(redis_server.url) as connection:
        yield connection
        connection.flushdb()


@given(names=st.sets(glob_text, min_size=2, max_size=12))
def test_an_escaped_text_matches_only_itself(client, names):
    client.flushdb()
    client.mset({f"cache:{name}:end": "" for name in names})
    for name in names:
        assert client.keys(f"cache:{escape_pattern(name)}:end") == [f"cache:{name}:end".encode()]


@given(names=st.sets(texts, min_size=2, max_size=12))
def test_the_text_of_an_argument_matches_only_itself(client, names):
    keys = {name: f"cache:p:f:{argument_text(name)}" for name in names}
    client.flushdb()
    client.mset(dict.fromkeys(keys.values(), ""))
    for key in keys.values():
        assert client.keys(key) == [key.encode()]


def test_plain_text_is_unchanged():
    assert escape_pattern("vocabulary_level:A1") == "vocabulary_level:A1"


@pytest.mark.parametrize("pattern", ["cache:*", "cache:vocabulary:*", "cache:[ab]*", "cache:", "cache:x\\*"])
def test_a_pattern_inside_the_namespace_is_accepted(pattern):
    assert INSIDE.matching(pattern).pattern == pattern
    INSIDE.require_inside(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "",
        "cache",
        "cache*",
        "c*:x",
        "?ache:*",
        "[c]ache:*",
        "cache2:*",
        "Cache:*",
        " cache:*",
        "\\cache:*",
    ],
)
def test_a_pattern_that_could_match_other_keys_is_rejected(pattern):
    for refuse in (INSIDE.matching, INSIDE.require_inside):
        with pytest.raises(PatternError, match=re.escape("does not begin with 'cache:'")):
            refuse(pattern)


NAMES = st.text("ab_.-", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES, st.sampled_from(["", ":", ":get", ":get:7"]))
def test_a_selection_of_prefixes_matches_exactly_their_keys(prefixes, prefix, rest):
    selection = select_prefixes("ca.he", prefixes)
    key = f"ca.he:{prefix}{rest}"
    found = fnmatchcase(key, unescaped(selection.pattern)) and (
        selection.only is None or selection.only.match(key.encode()) is not None
    )
    assert found == (prefix in prefixes and rest.startswith(":"))


def test_a_dot_or_dash_in_a_name_is_not_a_wildcard():
    selection = select_prefixes("a.b", ["x-y", "x.y"])
    assert selection.only.match(b"a.b:x.y:f")
    assert not selection.only.match(b"a.b:xzy:f")
    assert not selection.only.match(b"azb:x.y:f")
    assert not selection.only.match(b"z:a.b:x.y:f")


class Searched:
    """A server in which every search finds so many keys."""

    def __init__(self, *, searches: int, keys: int) -> None:
        self.searches = searches
        self.keys = keys
        self.removed: list[int] = []
        self.out = object()

    async def call(self, name, *arguments):
        if name == "UNLINK":
            self.removed.append(len(arguments))
            return len(arguments)
        number = int(arguments[0]) + 1
        cursor = number if number < self.searches else 0
        return [b"%d" % cursor, [b"cache:%d:%d" % (number, key) for key in range(self.keys)]]


@pytest.mark.parametrize("keys", [1, 20, 100, 300])
async def test_keys_are_removed_many_at_a_time_and_soon(keys):
    server = Searched(searches=45, keys=keys)
    assert await unlink(server, Selection("cache:*")) == 45 * keys
    searches = min(SCANS_PER_UNLINK, -(-KEYS_PER_UNLINK // keys))
    assert max(server.removed) == searches * keys
    assert len(server.removed) == -(-45 // searches)


async def test_over_another_connection_the_search_begins_anew():
    server = Searched(searches=6, keys=2)
    asked = []

    async def call(name, *arguments):
        if name == "SCAN":
            asked.append(int(arguments[0]))
            if len(asked) == 4:
                server.out = object()
        return await Searched.call(server, name, *arguments)

    server.call = call
    await unlink(server, Selection("cache:*"))
    assert asked == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]


async def test_nothing_found_is_nothing_removed():
    server = Searched(searches=45, keys=0)
    assert await unlink(server, Selection("cache:*")) == 0
    assert server.removed == []


async def test_at_a_low_rate_few_keys_are_removed_at_a_time():
    server = Searched(searches=3, keys=2)
    assert await unlink(server, Selection("cache:*"), keys_per_second=20) == 6
    assert server.removed == [2, 2, 2]


def unescaped(pattern: str) -> str:
    """For fnmatch, which knows no backslash; names have nothing else that it treats specially."""
    return pattern.replace("\\-", "-")
