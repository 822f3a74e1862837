"""The fields of the counters in Redis: read back as they were written, in hashes that stay small."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._statistics.fleet.field_names import (
    ID_LENGTH,
    FieldReader,
    add_fields,
    coarse,
    encoded,
    id_of,
    part_of,
    parts_for,
)
from langcache_cli.caching._statistics.fleet.tiers import FIVE_MINUTES, HOURS, MINUTES, tier_for
from langcache_cli.caching._statistics.latency_buckets import BUCKETS, percentile_ms, timing_name
from langcache_cli.caching.tooling import COUNTERS, Label

WORD = Label("vocabulary", "vocabulary", "get_word")
OWN = id_of(WORD)
READERS = {coarse: FieldReader({OWN.encode(): WORD}, is_coarse=coarse) for coarse in (False, True)}
timings = st.builds(timing_name, st.sampled_from(["hit", "load"]), st.integers(0, BUCKETS - 1))
counts = st.dictionaries(st.sampled_from(list(COUNTERS)) | timings, st.integers(1, 10**6))


def fields(pairs) -> dict[bytes, int]:
    return {field.encode(): amount for field, amount in pairs}


@given(counts)
def test_fields_are_read_back_as_they_were_written(items):
    found = READERS[False].counts(fields(encoded(OWN, items)))
    assert found == ({WORD: items} if items else {})


@given(counts)
def test_in_a_coarse_tier_counters_are_the_same_and_latencies_add_up(items):
    found = READERS[True].counts(fields(coarse(encoded(OWN, items)).items())).get(WORD, {})
    for name in COUNTERS:
        assert found.get(name, 0) == items.get(name, 0)
    for what in ("hit_us.", "load_us."):
        assert sum(count for name, count in found.items() if name.startswith(what)) == sum(
            count for name, count in items.items() if name.startswith(what)
        )


@given(st.dictionaries(st.integers(1, 100), st.integers(1, 99), min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_of_a_coarse_tier_is_within_two_buckets(buckets, percent):
    items = {timing_name("hit", number): count for number, count in buckets.items()}
    found = READERS[True].counts(fields(coarse(encoded(OWN, items)).items()))[WORD]
    fine, rough = (percentile_ms(of, "hit", percent) for of in (items, found))
    assert fine / 2**0.51 <= rough <= fine * 2**0.51


def test_each_counter_has_a_code_of_its_own():
    codes = [spec.code for spec in COUNTERS.values()]
    assert len(set(codes)) == len(codes)
    assert not {"h", "l"} & set(codes)
    assert all(len(code) == 1 and code.isalpha() for code in codes)


@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_no_damaged_field_breaks_the_reader(pairs):
    found: dict[bytes, int] = {}
    add_fields(found, [word for pair in pairs for word in pair])
    for reader in READERS.values():
        reader.counts(found)


def test_a_field_that_a_newer_version_writes_is_left_out():
    assert READERS[False].counts({OWN.encode() + b"Z": 5, OWN.encode() + b"x12": 1, b"AAAAH": 1}) == {}


@given(st.builds(Label, st.text(), st.text(), st.text()))
def test_an_id_has_five_letters(label):
    found = id_of(label)
    assert len(found) == ID_LENGTH
    assert found.isascii()
    assert ":" not in found


@pytest.mark.parametrize("functions", [1, 5, 20, 100, 1000])
def test_the_parts_of_any_number_of_functions_stay_small(functions):
    parts = parts_for(functions)
    sizes = Counter(part_of(id_of(Label("t", "p", f"f{number}")), parts) for number in range(functions))
    assert max(sizes.values()) <= 16  # of some 30 fields each: below 512
    assert parts < 2 * max(functions, 2)


def test_the_parts_of_all_are_at_least_those_of_some():
    parts = [parts_for(number) for number in range(200)]
    assert parts == sorted(parts)


@pytest.mark.parametrize(
    ("seconds", "tier"),
    [(60, MINUTES), (3600, MINUTES), (6 * 3600, FIVE_MINUTES), (24 * 3600, FIVE_MINUTES), (7 * 86400, HOURS)],
)
@pytest.mark.parametrize("now", [0, 1, 59, 299])
def test_a_window_is_read_from_the_finest_tier_that_holds_it(seconds, tier, now):
    assert tier_for(seconds) is tier
    now += 1_800_000_000
    starts = list(tier.starts(seconds, now))
    assert starts[-1] <= now < starts[-1] + tier.seconds
    assert len(starts) == seconds // tier.seconds + 1
    assert now - starts[0] >= seconds, "a window is never shorter than was asked for"
    assert all(tier.left_seconds(start, now) > 0 for start in starts)
