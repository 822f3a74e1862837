"""What explains a low hit rate, and the keys of others."""

import pytest

from langcache_cli.caching._statistics.labels import plain_keys_of
from langcache_cli.caching.tooling import Label, Numbers
from langcache_cli.operations.overview.census import OTHERS, OWN, Census, Sample, SeenKey
from langcache_cli.operations.statistics.miss_causes import MISSES
from langcache_cli.operations.statistics.reasons import (
    OTHERS_THAN_MISSES,
    OtherKeys,
    other_keys,
    reasons,
)
from langcache_cli.operations.statistics.stored_entries import function_keys, keys_differ, never_hit


def seen(key: bytes, kind: str = OTHERS) -> SeenKey:
    return SeenKey(key, kind, -1, 0)


WORD, TEXT = Label("vocabulary", "vocabulary", "word"), Label("translation", "translation", "text")


def found(counts, keys=None, evicted=(0, ""), of_all=None):
    numbers = {label: Numbers(of_label) for label, of_label in counts.items()}
    return list(reasons(numbers, keys or {}, of_all=Numbers(of_all or {}), evicted=evicted))


def test_only_what_is_not_0_is_a_reason_and_misses_have_a_share():
    assert found({WORD: {"hits": 9}}) == []
    counts = {
        WORD: {"misses": 8, "load_errors": 2, "refused": 1, "bypassed": 3},
        TEXT: {"misses": 12, "load_errors": 5, "joined": 7},
    }
    lines = found(counts, evicted=(3, "since Redis started"))
    assert [(one.name, one.count, dict(one.parts), one.miss_ratio) for one in lines] == [
        ("joined", 7, {"translation": 7}, 0.35),
        ("load_errors", 7, {"translation": 5, "vocabulary": 2}, 0.35),
        ("never_hit", 5, {"vocabulary": 5}, 0.25),
        ("refused", 1, {"vocabulary": 1}, 0.05),
        ("bypassed", 3, {"vocabulary": 3}, None),
        ("evicted_keys", 3, {}, None),
    ]
    assert lines[-1].meaning.endswith("(since Redis started)")


def test_a_plain_key_that_is_missed_stores_nothing():
    plain = plain_keys_of("vocabulary")
    assert [(one.name, one.count) for one in found({plain: {"misses": 5, "hits": 1}})] == [("no_entry", 5)]


def test_a_type_is_quoted_in_what_is_to_be_typed():
    other = Label("$(reboot)", "$(reboot)", "f")
    assert found({other: {"misses": 1, "uncacheable": 1}})[0].command == "langcache stats --type '$(reboot)'"


def test_every_reason_has_a_meaning():
    lines = found({WORD: dict.fromkeys([*MISSES, *OTHERS_THAN_MISSES], 1)})
    assert [one.name for one in lines] == [*MISSES, *OTHERS_THAN_MISSES]
    assert all(not one.meaning.endswith(".") for one in lines)
    assert {one.miss_ratio for one in lines} == {None}, (
        "loads that failed beside misses have no share of them"
    )


def test_entries_that_no_call_has_hit_are_named_with_the_command_that_shows_their_keys():
    counts = {WORD: {"misses": 938, "load_errors": 88}, TEXT: {"misses": 62, "hits": 500}}
    first, errors, rest = found(counts, {WORD: 850, TEXT: 62})
    assert (first.title, first.count, first.miss_ratio) == ("stored and never hit", 850, 0.85)
    assert first.estimate == (
        "Estimated from the keys that are there now: the keys of vocabulary:word differ from call to call."
    )
    assert first.command == "langcache keys list --find :word:"
    assert (errors.name, errors.count) == ("load_errors", 88)
    assert (rest.name, rest.parts, rest.command) == ("no_entry", {"translation": 62}, "langcache types")


def test_the_causes_stay_as_they_are_when_the_entries_end():
    counts = {WORD: {"misses": 100, "hits": 40}}
    rows = [
        [(one.name, one.count, one.meaning) for one in found(counts, {WORD: keys})] for keys in (100, 30, 0)
    ]
    assert rows[0] == rows[1] == rows[2]
    assert [row[:2] for row in rows[0]] == [("never_hit", 60), ("no_entry", 40)]
    (unused, _) = found(counts, {WORD: 30})
    assert unused.estimate.startswith("Estimated from the keys that are there now: 30 of 100 entries of ")
    assert unused.command == "langcache types"


def test_entries_that_are_gone_are_explained_by_what_removed_most():
    counts = {WORD: {"misses": 100}, TEXT: {"misses": 60}}
    (unused, *_) = found(counts, {WORD: 1, TEXT: 1}, of_all={"cleared_keys": 297})
    assert unused.estimate == (
        "Estimated from the keys that are there now: 1 of 100 entries of vocabulary:word are there; 1 of 60 "
        "entries of translation:text are there. The others were most likely invalidated (297 keys): a "
        "longer TTL does not help; invalidate fewer keys."
    )
    assert unused.command == "langcache keys explain --help"
    (unused, *_) = found(counts, {WORD: 1}, of_all={"cleared_keys": 297}, evicted=(5, "since Redis started"))
    assert unused.estimate.endswith("evicted: Redis has too little memory.")
    assert unused.command == "langcache doctor"


def test_misses_by_an_invalidated_tag_are_a_cause_of_their_own():
    counts = {WORD: {"misses": 1126, "hits": 374, "outdated": 1086}}
    (tags, first_calls) = found(counts, {WORD: 40})
    assert (tags.name, tags.count, round(tags.miss_ratio, 3)) == ("outdated", 1086, 0.964)
    assert tags.command == "langcache keys list --type vocabulary"
    assert (first_calls.name, first_calls.count) == ("no_entry", 40)


def test_removals_of_many_keys_and_tags_are_beside_the_misses():
    (keys, tags) = found({WORD: {"hits": 1}}, of_all={"cleared_keys": 48, "invalidated_tags": 90})
    assert (keys.name, keys.count, keys.is_cause) == ("cleared_keys", 48, False)
    assert (tags.name, tags.count, tags.is_cause) == ("invalidated_tags", 90, False)


@pytest.mark.parametrize(("hits", "unused"), [(0, 100), (60, 40), (100, 0), (500, 0)])
def test_of_the_entries_that_were_stored_some_were_never_hit(hits, unused):
    assert never_hit(Numbers({"misses": 110, "joined": 10, "hits": hits})) == unused


@pytest.mark.parametrize(("keys", "differ"), [(100, True), (5_000, True), (50, False), (0, False)])
def test_as_many_keys_as_were_stored_differ(keys, differ):
    assert keys_differ(Numbers({"misses": 100}), keys) is differ


def test_the_keys_of_a_function_are_counted_or_estimated():
    own = [b"cache:vocabulary:word:1", b"cache:vocabulary:word", b"cache:vocabulary:words:1"]
    foreign = [seen(b"cache:vocabulary:word:2"), seen(b"x")]
    census = Census([Sample(10, [*(seen(key, "vocabulary") for key in own), *foreign])], exact=False)
    assert function_keys(census, "cache", [WORD, TEXT]) == {WORD: 4, TEXT: 0}


def test_other_namespaces_are_known_by_their_counters():
    keys = [b"shop:vocabulary:f:1", b"shop:vocabulary:f:2", b"shop@stats:{0}:1m:0", b"celery:1", b"shop"]
    census = Census([Sample(6, [*map(seen, keys), seen(b"cache@tag:x", OWN)])], exact=True)
    assert other_keys(census) == OtherKeys(5, {"shop": 3}, is_estimate=False)


def test_of_many_keys_the_others_are_estimated_node_by_node():
    big = Sample(9_000, [seen(b"shop:a"), seen(b"shop@tag:b"), seen(b"cache:c", "vocabulary")])
    small = Sample(300, [seen(b"shop:d")] * 3)
    assert other_keys(Census([big, small, Sample(5, [])], exact=False)) == OtherKeys(
        6_300, {"shop": 3_300}, is_estimate=True
    )
