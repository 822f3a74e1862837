"""Selections of keys: escaped text matches only itself, prefixes match exactly their keys."""

from fnmatch import fnmatchcase

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching import escape_pattern
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.selection import select_prefixes
from tests.harness.redis_server import RedisServer
from tests.unit.values import texts

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


NAMES = st.text("ab_.-", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES, st.sampled_from(["", ":", ":get", ":get:7"]))
def test_a_selection_of_prefixes_matches_exactly_their_keys(prefixes, prefix, rest):
    selection = select_prefixes("ca.he", prefixes)
    key = f"ca.he:{prefix}{rest}"
    found = fnmatchcase(key, unescaped(selection.pattern)) and (
        selection.only is None or selection.only.match(key.encode()) is not None
    )
    assert found == (prefix in prefixes and (not rest or rest.startswith(":")))


def test_a_dot_or_dash_in_a_name_is_not_a_wildcard():
    selection = select_prefixes("a.b", ["x-y", "x.y"])
    assert selection.only.match(b"a.b:x.y:f")
    assert not selection.only.match(b"a.b:xzy:f")
    assert not selection.only.match(b"azb:x.y:f")
    assert not selection.only.match(b"z:a.b:x.y:f")


def unescaped(pattern: str) -> str:
    """For fnmatch, which knows no backslash; names have nothing else that it treats specially."""
    return pattern.replace("\\-", "-")
