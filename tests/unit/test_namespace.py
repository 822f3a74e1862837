"""Patterns and keys outside the namespace are rejected."""

import re

import pytest

from langcache_cli.caching import CacheSettings, PatternError
from langcache_cli.caching.tooling import Namespace

INSIDE = Namespace("cache", CacheSettings(_env_file=None).types)


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
