"""Durations: every way to write one, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._functions.duration import seconds_of

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}

parts = st.dictionaries(st.sampled_from([*UNITS]), st.integers(0, 10**6), min_size=1)
spaces = st.text(" \t", max_size=2)


@given(parts, st.data())
def test_a_text_is_the_sum_of_its_parts_whatever_is_between_them(numbers, data):
    ordered = sorted(numbers, key=[*UNITS].index)
    text = "".join(f"{data.draw(spaces)}{numbers[unit]}{unit}" for unit in ordered)
    assert seconds_of(text) == sum(numbers[unit] * UNITS[unit] for unit in numbers)


@given(st.floats(0, 10**9).map(lambda number: round(number, 6)), st.sampled_from([*UNITS]))
def test_a_decimal_fraction_counts(number, unit):
    assert seconds_of(f"{number:.6f}{unit}") == pytest.approx(number * UNITS[unit])


@given(st.text(max_size=12).filter(lambda text: text[-1:] not in UNITS))
def test_any_other_text_is_refused_with_the_way_to_write_it(text):
    with pytest.raises(ValueError, match="'1h30m'") as caught:
        seconds_of(text)
    assert repr(text) in str(caught.value)


@given(st.timedeltas())
def test_a_timedelta_and_its_seconds_are_equal(delta):
    assert seconds_of(delta) == delta.total_seconds()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "60",
        "m",
        "30 m",
        "1m1h",
        "1h1h",
        "-5m",
        "+5m",
        "1e3s",
        "5M",
        "5min",
        ".5h",
        "1.h",
        "٣m",
        "1h,30m",
    ],
)
def test_texts_that_are_easily_mistaken_for_durations(text):
    with pytest.raises(ValueError, match="is not a duration"):
        seconds_of(text)


@pytest.mark.parametrize("thing", [None, True, b"30m", [30], 1j])
def test_other_things_are_no_durations(thing):
    with pytest.raises(TypeError, match="is not a duration"):
        seconds_of(thing)
