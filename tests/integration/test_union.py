"""Several patterns in one search select what Redis selects with each of them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._keys.selection import Selection, select_prefixes
from langcache_cli.caching._protocol.union import MAX_PATTERNS, together

PARTS = st.sampled_from(["a", "b", ":", "*", "?", "\\*", "\\a", "\\", "ä", "[ab]", "[^a]", "\n"])
PATTERNS = st.lists(PARTS, max_size=5).map(lambda parts: "cache:" + "".join(parts))
KEYS = [
    "cache:" + "".join(key)
    for length in range(5)
    for key in itertools.product(["a", "b", ":", "*", "ä"], repeat=length)
] + ["cache:\\", "cache:a\\", "cache:a\nb", "cache:[ab]"]


@given(st.lists(PATTERNS, min_size=1, max_size=6))
def test_they_select_what_redis_selects(one_server, patterns):
    with one_server.connect() as connection:
        if connection.call("DBSIZE") != len(KEYS):
            connection.call("FLUSHALL")
            for key in KEYS:
                connection.call("SET", key, "1")
        alone = {key for pattern in patterns for key in connection.call("KEYS", pattern)}
        unions = list(together(list(map(Selection, patterns))))
        assert {key for one in unions for key in one.selected(connection.call("KEYS", one.pattern))} == alone


def test_prefixes_and_cache_types_go_together():
    selections = [
        Selection("cache:a:*"),
        select_prefixes("cache", ["episodes", "video"]),
        Selection("cache:?b"),
        Selection("cache:[x]"),
    ]
    alone, union = together(selections)
    assert (alone.pattern, union.pattern) == ("cache:[x]", "cache:*")
    keys = [b"cache:a:1", b"cache:video:1", b"cache:episodes:", b"cache:cb", b"cache:b:1", b"cache:a"]
    assert union.selected(keys) == keys[:4]


def test_prefixes_are_not_limited_but_other_patterns_are():
    prefixes = [Selection(f"cache:{number}:*") for number in range(10_000)]
    (union,) = together(prefixes)
    assert union.selected([b"cache:9999:x", b"cache:10000:x"]) == [b"cache:9999:x"]
    assert len(list(together([Selection(f"cache:*:{number}") for number in range(MAX_PATTERNS + 1)]))) == 2
