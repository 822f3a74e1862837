"""The outbox: what was not confirmed is kept once, in order, within bounds, and never forgotten."""

import pytest

from langcache_cli.caching._invalidation import outbox as outbox_module
from langcache_cli.caching._invalidation.outbox import RECENT_SECONDS, Outbox
from langcache_cli.caching._keys.selection import Selection

EVERYTHING = Selection("cache:*")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(EVERYTHING, limit=3)


@pytest.fixture
def clock(monkeypatch):
    class Time:
        now = 100.0

        @classmethod
        def monotonic(cls):
            return cls.now

    monkeypatch.setattr(outbox_module, "time", Time)
    return Time


def test_what_is_kept_twice_waits_once_and_counts_twice(outbox):
    assert outbox.defer(["a", "b", "a"]) == 3
    assert list(outbox.waiting()) == ["a", "b"]
    assert len(outbox) == 2
    assert outbox.delivered(outbox.waiting()) == 3
    assert not outbox


def test_what_is_asked_for_again_during_a_delivery_is_delivered_again(outbox):
    outbox.defer(["a", "b"])
    sent = outbox.waiting()
    outbox.defer(["a"])
    assert outbox.delivered(sent) == 1
    assert list(outbox.waiting()) == ["a"]
    assert outbox.delivered(outbox.waiting()) == 2


def test_a_partial_delivery_leaves_the_rest(outbox):
    outbox.defer(["a", "b"])
    assert outbox.delivered({"a": outbox.waiting()["a"]}) == 1
    assert list(outbox.waiting()) == ["b"]
    assert outbox.delivered({}) == 0


def test_too_many_become_the_whole_namespace_and_all_of_them_are_counted(outbox):
    outbox.defer(["a", "b", "b", "c", "d", "e"])
    assert list(outbox.waiting()) == [EVERYTHING, "e"]
    outbox.defer(["f", "g", "h"])
    assert EVERYTHING in outbox.waiting()
    assert len(outbox) <= 3
    assert outbox.delivered(outbox.waiting()) == 9


def test_what_was_confirmed_in_the_last_minute_can_be_asked_for_again(outbox, clock):
    outbox.remember(["old"])
    clock.now += RECENT_SECONDS
    outbox.remember(["new"])
    clock.now += RECENT_SECONDS - 1
    outbox.defer(["deferred"])
    outbox.delivered(outbox.waiting())
    assert outbox.defer_recent() == 2
    assert list(outbox.waiting()) == ["new", "deferred"]
    assert outbox.defer_recent() == 0


def test_a_minute_with_too_many_is_remembered_as_the_whole_namespace(outbox, clock):
    outbox.remember(["a", "b", "c", "d"])
    assert outbox.defer_recent() == 1
    assert list(outbox.waiting()) == [EVERYTHING]


def test_what_is_told_again_is_told_for_a_minute_in_all(outbox, clock):
    outbox.remember(["a"])
    for _ in range(3):
        clock.now += RECENT_SECONDS / 4
        assert outbox.defer_recent() == 1
        assert outbox.delivered(outbox.waiting()) == 1
    clock.now += RECENT_SECONDS / 3
    assert outbox.defer_recent() == 0


def test_what_is_asked_for_again_begins_its_minute_again(outbox, clock):
    outbox.remember(["a", "b"])
    clock.now += RECENT_SECONDS / 2
    outbox.defer_recent()
    outbox.defer(["a"])
    outbox.delivered(outbox.waiting())
    outbox.remember(["b"])
    clock.now += RECENT_SECONDS * 0.7
    assert outbox.defer_recent() == 2
