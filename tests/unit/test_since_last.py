"""What was counted between two looks at the counters in Redis, and the file between two runs."""

import json
import time

import pytest

from langcache_cli.caching.tooling import Label
from langcache_cli.operations.statistics.since_last import difference
from langcache_cli.operations.statistics.state_file import State, StateError, read_state

WORD, TEXT = Label("vocabulary", "vocabulary", "word"), Label("translation", "translation", "text:x")
HOUR = 3600


def state(**changes):
    fields = {
        "at": time.time(), "target": "redis://***@localhost:6379/0", "namespace": "cache",
        "servers": frozenset({"a" * 40}), "evicted_keys": 3,
        "hours": {HOUR: {WORD: {"hits": 3, "hit_us.20": 3}}},
        **changes,
    }  # fmt: skip
    return State(**fields)


def test_what_is_new_is_told_and_nothing_else():
    before = {HOUR: {WORD: {"hits": 3, "misses": 1}}, 2 * HOUR: {WORD: {"hits": 10}, TEXT: {"hits": 1}}}
    now = {
        HOUR: {WORD: {"hits": 3, "misses": 2}},  # one was counted late
        2 * HOUR: {WORD: {"hits": 14, "loads": 2}, TEXT: {"hits": 1}},
        3 * HOUR: {TEXT: {"hits": 5}},
    }
    added, lost = difference(now, before)
    assert added == {WORD: {"misses": 1, "hits": 4, "loads": 2}, TEXT: {"hits": 5}}
    assert lost == ()
    assert difference(now, now) == ({}, ())


def test_counters_that_became_fewer_were_lost():
    before = {HOUR: {WORD: {"hits": 100}}, 2 * HOUR: {WORD: {"hits": 10, "misses": 4}, TEXT: {"hits": 7}}}
    now = {2 * HOUR: {WORD: {"hits": 12, "misses": 1}, TEXT: {"hits": 8}}}
    added, lost = difference(now, before)
    assert lost == (HOUR, 2 * HOUR)
    assert added == {WORD: {"hits": 12, "misses": 1}, TEXT: {"hits": 1}}


def test_a_state_comes_back_as_it_was(tmp_path):
    (tmp_path / "state").write_text(state().text(), "utf-8")
    found = read_state(tmp_path / "state")
    assert found.hours == {HOUR: {WORD: {"hits": 3, "hit_us.20": 3}}}
    assert (found.servers, found.evicted_keys) == (frozenset({"a" * 40}), 3)


def test_a_state_that_cannot_be_used_says_why(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(StateError, match="does not exist yet"):
        read_state(path)
    whole = state().text()
    changed = [
        {"schema": "langcache.stats-state/2"}, {"hours": {"x": {}}},
        {"hours": {"3600": {"a:b:c": {"hits": -1}}}},
        {"hours": {"3600": {"a:b:c": {"hits": "1"}}}}, {"hours": {"3600": {"a": {}}}}, {"hours": []},
        {"at_seconds": None}, {"servers": None},
    ]  # fmt: skip
    texts = ["", "{", "[]", "null", "\xff", whole[: len(whole) // 2]]
    texts += [json.dumps({**json.loads(whole), **change}) for change in changed]
    for text in texts:
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(StateError, match="is damaged"):
            read_state(path)
    path.write_text(state(at=time.time() + 3600).text())
    with pytest.raises(StateError, match="from the future"):
        read_state(path)
