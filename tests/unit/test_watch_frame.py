"""Frames of the live view: they fit any terminal, and say what the document says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache_cli.cli.sparkline import sparkline, squeezed
from langcache_cli.cli.watch.frame import Look, frame
from langcache_cli.cli.watch.words import duration, latency, short, verdict
from langcache_cli.operations.overview.document import Overview
from langcache_cli.readable import size

SUMMARY = {
    "calls": 1000, "hits": 900, "stale": 10, "joined": 5, "misses": 95, "bypassed": 5, "load_errors": 2,
    "hit_ratio": 0.9045, "answered_ratio": 0.9, "hit_p50_ms": 0.3, "hit_p95_ms": 0.9, "load_p50_ms": 50.0,
    "load_p95_ms": 286.4, "saved_seconds": 6180.0,
}  # fmt: skip
LATENCY = {name: [1.0, None] for name in ("hit_p50_ms", "hit_p95_ms", "load_p50_ms", "load_p95_ms")}
HOSTILE = "\x1b[2Jcache:\x07words"


def overview(n_types: int = 3, n_events: int = 2) -> Overview:
    names = [f"type_{number}" for number in range(n_types)]
    counts = {name: [450, 450] for name in ("hits", "stale", "joined", "misses", "bypassed", "load_errors")}
    functions = [{**SUMMARY, "name": f"prefix:{HOSTILE}"}]
    keys = {"keys": 980, "keys_error": 12.0, "bytes": 605_000, "bytes_error": 1.0, "ttl_seconds": 3600}
    event = {
        "at": 1e9,
        "what": "clear",
        "target": HOSTILE,
        "count": 5,
        "seconds": 2.0,
        "by": "me",
        "via": "api",
    }
    return {
        "schema": "langcache.overview/1", "now": 1_800_000_030.0, "target": "redis://***@localhost:6379/0",
        "namespace": "cache", "env": "prod", "read_only": False, "windows": ["1h"], "window": "1h",
        "window_seconds": 3600, "step_seconds": 60, "refresh_seconds": 5.0, "status": "healthy", "error": "",
        "numbers": True, "total": SUMMARY, "previous": None,
        "findings": [{"level": "bad", "title": "Full", "text": "", "command": ""}] * 3,
        "series": {
            "at": [1_799_999_940, 1_800_000_000], "types": dict.fromkeys(names, counts), "latency": LATENCY
        },
        "types": {name: {**SUMMARY, **keys, "functions": functions} for name in names},
        "server": {
            "product": "Redis", "version": "7.0.15", "used_memory_bytes": 2**24, "max_memory_bytes": 2**32,
            "eviction_policy": "allkeys-lru", "connected_clients": 7, "uptime_seconds": 9, "database_keys": 1,
            "keyspace_hits": 1, "keyspace_misses": 1, "evicted_keys": 0,
        },
        "events": [event] * n_events, "hot": [{"key": HOSTILE, "type": "t", "calls": 64}],
        "hot_problem": "", "biggest": [],
    }  # type: ignore[return-value,typeddict-item] # what a frame reads of it  # fmt: skip


LATE = {**overview(), "numbers": False}
AWAY = {**overview(), "status": "unreachable", "error": "Redis cannot be reached"}
del AWAY["total"]

looks = st.builds(
    Look,
    st.integers(30, 200),
    st.integers(8, 60),
    st.booleans(),
    st.sampled_from(["types", "functions", "keys", "help"]),
    st.booleans(),
)


@settings(max_examples=60)
@given(looks, st.integers(0, 40), st.integers(0, 30), st.booleans())
def test_a_frame_has_the_lines_of_the_terminal_and_none_is_too_long(look, n_types, n_events, away):
    known = overview(n_types, n_events)
    lines = frame(AWAY if away else known, known, look)
    assert len(lines) == look.height
    assert all(line.cell_len <= look.width for line in lines)
    text = "\n".join(line.plain for line in lines)
    assert "\x1b" not in text
    assert "\x07" not in text
    if not look.unicode:
        assert text.isascii()


def test_a_frame_of_80_by_24_says_it_all():
    text = "\n".join(line.plain for line in frame(overview(), None, Look(80, 24, True, "types", False)))
    for part in (
        "90.0 % of 1,000 calls from the cache; 1 h 43 min spared", "! Full", "Hit rate", "a min", "type_2",
        "~980", "591 KB", "286 ms", "16 MB of 4.0 GB, 0 evicted, 7 clients, Redis 7.0.15", "clear", "q quit",
    ):  # fmt: skip
        assert part in text
    assert text.count("! Full") == 2


def test_without_redis_the_first_frame_says_what_to_type():
    text = "\n".join(line.plain for line in frame(AWAY, None, Look(80, 24, True, "types", False)))
    assert "Redis cannot be reached" in text
    assert "langcache doctor" in text


@given(st.lists(st.none() | st.floats(0, 1e12)), st.integers(1, 80), st.booleans())
def test_a_sparkline_has_a_character_for_each_value_that_fits(values, width, unicode):
    drawn = sparkline(values, width=width, unicode=unicode)
    assert len(drawn) == min(len(values), width)


def test_a_sparkline_reaches_from_the_lowest_to_the_highest():
    assert sparkline([0, 1, None, 0.5], width=9, unicode=True) == "▁█·▅"
    assert sparkline([0, 1, None, 0.5], width=9, unicode=False) == ".% +"
    assert sparkline([5, 5], width=9, unicode=True, low=0, high=5) == "██"
    assert squeezed([1, 3, None, None], 2) == [2, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (short(812), "812"), (short(12_812), "12.8k"), (short(128_120), "128k"), (short(2.5e9), "2.5G"),
        (size(0), "0 B"), (size(95_437), "93 KB"), (size(2**32), "4.0 GB"),
        (latency(None), "-"), (latency(0.412), "0.41 ms"), (latency(6.2), "6.2 ms"),
        (latency(286.4), "286 ms"),
        (latency(1400), "1.4 s"), (duration(48), "48 s"), (duration(6180), "1 h 43 min"),
        (duration(7200), "2 h"),
        (duration(3 * 86400), "3 days"),
        (verdict({**overview(), "total": {**SUMMARY, "calls": 0}}), "No call was counted in the last hour."),
        (verdict(LATE), "The counters did not come: no number of calls is known."),
    ],
)  # fmt: skip
def test_numbers_are_short(text, expected):
    assert text == expected
