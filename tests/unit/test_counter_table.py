"""The table of counters: complete, without a dead entry, and the one source of every list of counters."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import langcache_cli.caching
from langcache_cli.caching._statistics.hit_tally import HitTally
from langcache_cli.caching._statistics.report import cache_stats
from langcache_cli.caching.tooling import COUNTERS, OUTBOX, CacheReport, Label, Numbers
from tests.unit import counters_page

UNITS = {"calls", "loads", "values", "entries", "keys", "tags", "invalidations", "bytes"}
COUNTING = {"count", "record", "_count", "_counted", "_unstored"}
"""The methods of the core that are called with the name of a counter."""


def counted_by_name() -> set[str]:
    """Every name that the core counts under, from its source; those of hits come from their tally."""
    calls = (
        node
        for path in Path(langcache_cli.caching.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute)
        if node.func.attr in COUNTING
    )
    return {
        name.value
        for call in calls
        for argument in call.args
        for name in ([argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument])
        if isinstance(name, ast.Constant)
        if isinstance(name.value, str)
    }


def counted_by_tally() -> set[str]:
    tally = HitTally()
    tally.count_hit(1, 0.001)
    tally.count_near_hit(0.001)
    return {name for name in tally.counts() if not name.startswith("hit_us.")}


def test_every_counter_that_is_counted_is_in_the_table():
    assert counted_by_name() | counted_by_tally() <= set(COUNTERS)


def test_every_counter_of_the_table_is_counted():
    assert set(COUNTERS) <= counted_by_name() | counted_by_tally()


def test_names_are_those_that_other_versions_wrote_to_redis():
    assert {
        "hits", "near", "stale", "misses", "joined", "loads", "load_errors", "refused", "bypassed",
        "unstored", "undecodable", "uncacheable", "invalidated", "deferred", "delivered",
        "bytes_read", "bytes_written",
    } <= set(COUNTERS)  # fmt: skip


@pytest.mark.parametrize("spec", COUNTERS.values(), ids=COUNTERS)
def test_an_entry_is_fit_for_redis_metrics_and_people(spec):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", spec.name)  # no colon or full stop: both separate in Redis
    assert spec.unit in UNITS
    assert (spec.unit == "bytes") == spec.exported_name.endswith("_bytes")
    assert spec.meaning[0].islower()
    assert not spec.meaning.endswith(".")
    assert spec.help_text.lower() == f"{spec.meaning}.".lower()


def test_no_two_counters_share_a_name_or_an_exported_name():
    exported = Counter(spec.exported_name for spec in COUNTERS.values())
    assert exported.total() == len(exported) == len(COUNTERS)


def test_the_page_of_counters_is_the_table():
    page = counters_page.PAGE.read_text("utf-8")
    assert counters_page.table() in page, "run: python -m tests.unit.counters_page"
    assert counters_page.with_table(page) == page


def test_the_page_is_made_anew_around_its_text():
    page = f"before\n\n{counters_page.HEAD}| `gone` | of an older table |\n\nafter | all\n"
    assert counters_page.with_table(page) == f"before\n\n{counters_page.table()}\nafter | all\n"


def test_every_counter_is_exported_once_zeros_included():
    everything = {name: number for number, name in enumerate(COUNTERS, 1)}
    functions, outbox = Numbers(everything).exported(), Numbers(everything).exported(per_function=False)
    assert functions | outbox == {COUNTERS[name].exported_name: n for name, n in everything.items()}
    assert set(outbox) == {"deferred", "delivered", "cleared_keys", "invalidated_tags"}
    assert not set(functions) & set(outbox)
    assert set(Numbers({}).exported()) == set(functions)


def test_the_health_page_has_every_counter():
    label = Label("vocabulary", "vocabulary", "get_word")
    counts = {name: 3 for name, spec in COUNTERS.items() if spec.per_function}
    report = CacheReport(3600, {label: Numbers(counts), OUTBOX: Numbers({"deferred": 7})})
    stats = cache_stats(enabled=True, server=None, report=report)
    assert stats["counters"] == stats["types"]["vocabulary"]["counters"] == Numbers(counts).exported()
    assert set(stats["types"]) == {"vocabulary"}
    assert set(cache_stats(enabled=True, server=None, report=None)["counters"].values()) == {0}
