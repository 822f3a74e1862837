"""The outbox: what was not confirmed is kept once, in order, within bounds, and never forgotten."""

import pytest

from langcache_cli.caching._invalidation import recent as recent_module
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._invalidation.recent import RECENT_SECONDS
from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._wire.server_identity import ServerIdentity

EVERYTHING = Selection("cache:*")
SERVER = ServerIdentity("1", "a")
OTHER = ServerIdentity("2", "a")


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

    monkeypatch.setattr(recent_module, "time", Time)
    return Time


def test_what_is_kept_twice_waits_once_and_counts_twice(outbox):
    assert outbox.defer(["a", "b", "a"]) == 3
    assert list(outbox.waiting()) == ["a", "b"]
    assert len(outbox) == 2
    assert outbox.delivered(outbox.waiting(), SERVER) == 3
    assert not outbox


def test_what_is_asked_for_again_during_a_delivery_is_delivered_again(outbox):
    outbox.defer(["a", "b"])
    sent = outbox.waiting()
    outbox.defer(["a"])
    assert outbox.delivered(sent, SERVER) == 1
    assert list(outbox.waiting()) == ["a"]
    assert outbox.delivered(outbox.waiting(), SERVER) == 2


def test_a_partial_delivery_leaves_the_rest(outbox):
    outbox.defer(["a", "b"])
    assert outbox.delivered({"a": outbox.waiting()["a"]}, SERVER) == 1
    assert list(outbox.waiting()) == ["b"]
    assert outbox.delivered({}, SERVER) == 0


def test_too_many_become_the_whole_namespace_and_all_of_them_are_counted(outbox):
    outbox.defer(["a", "b", "b", "c", "d", "e"])
    assert list(outbox.waiting()) == [EVERYTHING, "e"]
    outbox.defer(["f", "g", "h"])
    assert EVERYTHING in outbox.waiting()
    assert len(outbox) <= 3
    assert outbox.delivered(outbox.waiting(), SERVER) == 9


def test_what_was_confirmed_in_the_last_minute_can_be_asked_for_again(outbox, clock):
    outbox.remember(["old"], SERVER)
    clock.now += RECENT_SECONDS
    outbox.remember(["new"], SERVER)
    clock.now += RECENT_SECONDS - 1
    outbox.defer(["deferred"])
    outbox.delivered(outbox.waiting(), SERVER)
    assert outbox.defer_recent(OTHER, reconnected=True) == 2
    assert list(outbox.waiting()) == ["new", "deferred"]
    assert outbox.defer_recent(OTHER, reconnected=True) == 0


def test_a_minute_with_too_many_is_remembered_as_the_whole_namespace(outbox, clock):
    outbox.remember(["a", "b", "c", "d"], SERVER)
    assert outbox.defer_recent(OTHER, reconnected=True) == 1
    assert list(outbox.waiting()) == [EVERYTHING]


def test_what_is_told_again_is_told_for_a_minute_in_all(outbox, clock):
    outbox.remember(["a"], SERVER)
    for _ in range(3):
        clock.now += RECENT_SECONDS / 4
        assert outbox.defer_recent(OTHER, reconnected=True) == 1
        assert outbox.delivered(outbox.waiting(), SERVER) == 1
    clock.now += RECENT_SECONDS / 3
    assert outbox.defer_recent(OTHER, reconnected=True) == 0


def test_what_is_asked_for_again_begins_its_minute_again(outbox, clock):
    outbox.remember(["a", "b"], SERVER)
    clock.now += RECENT_SECONDS / 2
    outbox.defer_recent(OTHER, reconnected=True)
    outbox.defer(["a"])
    outbox.delivered(outbox.waiting(), SERVER)
    outbox.remember(["b"], SERVER)
    clock.now += RECENT_SECONDS * 0.7
    assert outbox.defer_recent(OTHER, reconnected=True) == 2


def test_a_server_does_not_get_again_what_it_has_confirmed(outbox, clock):
    outbox.remember(["a"], SERVER)
    outbox.remember(["b"], OTHER)
    assert outbox.defer_recent(SERVER, reconnected=True) == 1
    assert list(outbox.waiting()) == ["b"]
    outbox.delivered(outbox.waiting(), SERVER)
    assert outbox.defer_recent(SERVER, reconnected=True) == 0
    assert outbox.defer_recent(OTHER, reconnected=True) == 2


def test_a_server_that_was_restarted_or_promoted_is_another_one(outbox, clock):
    outbox.remember(["a"], SERVER)
    assert outbox.defer_recent(ServerIdentity("1", "b"), reconnected=False) == 1


def test_servers_that_do_not_say_who_they_are_are_the_same_one_in_a_new_event_loop(outbox, clock):
    outbox.remember(["a"], None)
    assert outbox.defer_recent(None, reconnected=False) == 0
    assert outbox.defer_recent(None, reconnected=True) == 1
    outbox.delivered(outbox.waiting(), None)
    assert outbox.defer_recent(SERVER, reconnected=False) == 1


def test_too_many_of_one_server_are_the_whole_namespace_for_another_one_only(outbox, clock):
    outbox.remember(["a", "b", "c", "d"], SERVER)
    assert outbox.defer_recent(SERVER, reconnected=True) == 0
    outbox.remember(["e", "f", "g"], OTHER)
    assert outbox.defer_recent(OTHER, reconnected=True) == 1
    assert list(outbox.waiting()) == [EVERYTHING]


def test_what_is_held_counts_as_none_and_is_dropped_once_confirmed(outbox):
    held = outbox.hold(["a", EVERYTHING])
    assert outbox.concerns(["a"])
    assert outbox.concerns(["cache:b"])
    assert outbox.release(held) == 0
    assert not outbox
    assert not outbox.concerns(["a", "cache:b"])
    assert outbox.release(held) == 0


def test_what_was_deferred_before_it_is_held_is_confirmed_with_it(outbox):
    assert outbox.defer(["a", "a"]) == 2
    assert outbox.release(outbox.hold(["a"])) == 2
    assert not outbox


def test_what_is_asked_for_again_while_it_is_held_stays(outbox):
    first = outbox.hold(["a"])
    second = outbox.hold(["a"])
    assert outbox.release(first) == 0
    assert outbox.concerns(["a"])
    outbox.defer(["a"])
    assert outbox.release(second) == 0
    assert outbox.delivered(outbox.waiting(), SERVER) == 1


def test_too_many_that_are_held_leave_the_whole_namespace(outbox):
    held = outbox.hold(["a", "b", "c", "d"])
    outbox.release(held)
    assert list(outbox.waiting()) == [EVERYTHING]
