"""The breaker: when calls stop, and when the server is tried again."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._wire.breaker import (
    FAILURES_TO_OPEN,
    FIRST_PROBE_SECONDS,
    LAST_PROBE_SECONDS,
    Breaker,
)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(now)
    return breaker


def test_it_is_closed_until_failures_follow_each_other():
    breaker = Breaker()
    for _ in range(10):
        assert [breaker.failed(0.0) for _ in range(FAILURES_TO_OPEN - 1)] == [False] * (FAILURES_TO_OPEN - 1)
        assert not breaker.open
        breaker.succeeded()


def test_the_last_failure_in_a_row_opens_it_and_says_so_once():
    breaker = Breaker()
    opened_by = [breaker.failed(0.0) for _ in range(FAILURES_TO_OPEN + 2)]
    assert opened_by == [False] * (FAILURES_TO_OPEN - 1) + [True, False, False]
    assert breaker.open


def test_a_closed_breaker_needs_no_probe():
    assert not Breaker().probe_due(1e9)


def test_the_first_probe_comes_soon_and_only_one_is_due():
    breaker = opened(now=100.0)
    assert not breaker.probe_due(100.0)
    assert not breaker.probe_due(100.0 + FIRST_PROBE_SECONDS - 0.001)
    assert breaker.probe_due(100.0 + FIRST_PROBE_SECONDS)
    assert not breaker.probe_due(100.0 + FIRST_PROBE_SECONDS)


def test_probes_slow_down_to_one_a_second_and_never_stop():
    breaker = opened()
    due_ms = [tick for tick in range(60_000) if breaker.probe_due(tick / 1000)]
    pauses_ms = [later - earlier for earlier, later in itertools.pairwise(due_ms)]
    assert pauses_ms[0] < 3000 * FIRST_PROBE_SECONDS
    assert all(later >= earlier - 1 for earlier, later in itertools.pairwise(pauses_ms))
    assert abs(pauses_ms[-1] - 1000 * LAST_PROBE_SECONDS) < 2
    assert due_ms[-1] > 58_000


def test_success_closes_it_and_the_next_outage_starts_afresh():
    breaker = opened()
    for _ in range(20):
        breaker.probe_due(1e6)
    breaker.succeeded()
    assert not breaker.open
    assert not breaker.probe_due(1e9)
    for _ in range(FAILURES_TO_OPEN - 1):
        assert not breaker.failed(2e6)
    assert breaker.failed(2e6)
    assert breaker.probe_due(2e6 + FIRST_PROBE_SECONDS)


@given(st.lists(st.sampled_from(["failed", "succeeded", "probe"])))
def test_it_is_open_exactly_after_enough_failures_since_the_last_success(events):
    breaker, failures = Breaker(), 0
    for now, event in enumerate(events):
        if event == "failed":
            breaker.failed(float(now))
            failures += 1
        elif event == "succeeded":
            breaker.succeeded()
            failures = 0
        else:
            assert breaker.probe_due(now + 1e6 * (now + 1)) == (failures >= FAILURES_TO_OPEN)
        assert breaker.open == (failures >= FAILURES_TO_OPEN)
