"""Whether a pattern can match a key that begins in some way, compared with a real Redis."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._keys.pattern_reach import could_match
from tests.harness.redis_server import RedisServer

PARTS = st.text(st.sampled_from("*?[]\\^-ab:é"), max_size=8)
NAMES = st.text(st.sampled_from("ab:é-"), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def client(redis_server: RedisServer) -> redis.Redis:
    with redis.Redis.from_url(redis_server.url) as connection:
        yield connection
        connection.flushdb()


@given(pattern=PARTS, beginning=NAMES, ends=st.lists(NAMES, min_size=1, max_size=8))
def test_a_pattern_that_matches_a_key_is_never_said_to_match_none(client, pattern, beginning, ends):
    client.flushdb()
    client.mset(dict.fromkeys([beginning, *(beginning + end for end in ends)], ""))
    found = {key.decode() for key in client.keys(pattern)}
    if found:
        assert could_match(pattern, beginning)
    if beginning in found:
        assert could_match(pattern, beginning, whole=True)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("c:words:get:*", True),
        ("c:words:get:7", True),
        ("c:*", True),
        ("*get*", True),
        ("c:w?rds:*", True),
        ("c:w[aeiou]rds:*", True),
        ("c:w\\ords:*", True),
        ("c:*:get:*:en", True),
        ("c:words:got:*", False),
        ("c:word:*", False),
        ("c:words:get", False),
        ("c:words:7", False),
        ("d:*", False),
        ("c:?ords", False),
        ("c:words\\:*:7", True),
        ("c:words\\*:7", False),
    ],
)
def test_it_fits_or_not(pattern, fits):
    assert could_match(pattern, "c:words:get:") is fits


def test_a_whole_key_is_matched_to_its_end():
    assert could_match("c:words:ge?", "c:words:get", whole=True)
    assert could_match("c:words:get*", "c:words:get", whole=True)
    assert not could_match("c:words:get:*", "c:words:get", whole=True)
    assert not could_match("c:words:g?", "c:words:get", whole=True)
