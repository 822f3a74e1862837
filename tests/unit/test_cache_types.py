"""Cache types: groups of prefixes, by name and by prefix."""

import pytest

from langcache_cli.caching import CacheType, CacheTypes, UnknownCacheTypeError
from langcache_cli.caching._config.cache_types import builtin_types

BUILTIN = CacheTypes(builtin_types(translation_ttl=1, vocabulary_ttl=2), default_ttl_seconds=3)


@pytest.mark.parametrize(
    ("prefix", "name", "ttl"),
    [
        ("vocabulary", "vocabulary", 2),
        ("vocabulary_level", "vocabulary", 2),
        ("translation", "translation", 1),
        ("batch_translation", "translation", 1),
        ("vocabulary_stats", "progress", 300),
        ("vocabulary_progress", "progress", 300),
        ("user_stats", "progress", 300),
        ("episodes", "video", 1800),
        ("subtitles", "subtitles", 7200),
    ],
)
def test_every_prefix_of_the_backend_has_its_type(prefix, name, ttl):
    found = BUILTIN.of_prefix(prefix)
    assert (found.name, found.ttl_seconds) == (name, ttl)
    assert BUILTIN[name] is found
    assert found.cleared_when


def test_another_prefix_is_a_type_of_its_own_with_the_default_ttl():
    assert BUILTIN.of_prefix("quiz") == CacheType("quiz", ("quiz",), 3)


def test_a_name_takes_precedence_over_a_prefix():
    types = CacheTypes([CacheType("a", ("b",), 1), CacheType("b", ("c",), 2)], default_ttl_seconds=3)
    assert types.of_name_or_prefix("b").prefixes == ("c",)
    assert types.of_name_or_prefix("c").name == "b"
    assert types.of_name_or_prefix("x").name == "x"


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        UnknownCacheTypeError, match="unknown cache type 'quiz'; known types: vocabulary, trans"
    ) as e:
        BUILTIN["quiz"]
    assert e.value.name == "quiz"
    assert e.value.known == ("vocabulary", "translation", "progress", "video", "subtitles")


def test_it_is_a_mapping():
    assert list(BUILTIN) == list(BUILTIN.keys())
    assert len(BUILTIN) == len(BUILTIN.values()) == 5
    assert "video" in BUILTIN
    assert "quiz" not in BUILTIN
    assert BUILTIN.get("video") is BUILTIN["video"]
    assert BUILTIN.get("quiz") is None
    assert BUILTIN.get("quiz", 7) == 7
    assert dict(BUILTIN) == BUILTIN


def test_a_prefix_in_two_types_belongs_to_the_later_one():
    types = CacheTypes([CacheType("a", ("x",), 1), CacheType("b", ("x",), 2)], default_ttl_seconds=3)
    assert types.of_prefix("x").name == "b"
