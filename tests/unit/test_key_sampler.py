"""Which keys are asked for most: what the table may claim, and that it finds them."""

import random
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._statistics import key_sampler
from langcache_cli.caching._statistics.key_sampler import CALLS_PER_SAMPLE, TABLE_SIZE, KeySampler


@pytest.fixture
def seeded(monkeypatch):
    """Draws that are the same in each run."""
    monkeypatch.setattr(key_sampler, "randrange", random.Random(14).randrange)


@given(st.lists(st.integers(0, 40), max_size=300), st.integers(1, 10))
def test_no_key_is_said_to_have_been_drawn_more_often_than_it_was(draws, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_sampler, "TABLE_SIZE", size)
        sampler, drawn = KeySampler(), Counter(map(str, draws))
        for draw in draws:
            sampler.sample(str(draw))
        assert all(samples <= drawn[key] for key, samples in sampler.news().items())
        # a key that was drawn more often than all others together can have displaced is in the table
        for key, samples in drawn.items():
            if samples > len(draws) / size:
                assert key in sampler._table


def test_one_call_in_64_is_drawn_one_by_one_and_many_at_once(seeded):
    calls, sampler = 640_000, KeySampler()
    skip, drawn = sampler.gap(), 0
    for _ in range(calls):
        skip -= 1
        if skip < 0:
            drawn += 1
            skip = sampler.sample("key")
    assert drawn == pytest.approx(calls / CALLS_PER_SAMPLE, rel=0.02)
    sampler.start_over()
    for _ in range(calls // 1000):
        sampler.pass_by(["key"] * 1000)
    assert sampler.news()["key"] == pytest.approx(calls / CALLS_PER_SAMPLE, rel=0.02)


def test_what_was_told_is_not_told_again_and_a_key_drawn_once_never_is():
    sampler = KeySampler()
    for key in ("a", "a", "a", "b"):
        sampler.sample(key)
    news = sampler.news()
    assert news == {"a": 3}
    sampler.sample("a")
    sampler.told(news)
    assert sampler.news() == {"a": 1}
    sampler.start_over()
    assert sampler.news() == {}


def test_a_disabled_sampler_draws_nothing():
    sampler = KeySampler(enabled=False)
    assert sampler.gap() == sys.maxsize
    for _ in range(100):
        sampler.pass_by(["key"] * 1000)
    assert sampler.news() == {}


def test_the_table_never_grows_beyond_its_size():
    sampler = KeySampler()
    for number in range(10 * TABLE_SIZE):
        sampler.sample(str(number))
        sampler.sample("often")
    assert len(sampler._table) == TABLE_SIZE
    assert sampler.news() == {"often": 10 * TABLE_SIZE}


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2])
def test_the_keys_asked_for_most_of_10_000_are_found(seeded, exponent):
    keys = [str(rank) for rank in range(10_000)]
    weights = [1 / (rank + 1) ** exponent for rank in range(10_000)]
    sampler = KeySampler()
    sampler.pass_by(random.Random(1).choices(keys, weights, k=400_000))
    found = list(sampler.news())[:10]
    assert len({int(key) for key in found} & set(range(10))) >= 8
