"""The checker finds what it is there to find, in histories written by hand."""

from pathlib import Path
from typing import Any

import pytest

from langcache_cli.caching._deployment.cluster.slots import SLOTS, slot_of
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from tests.history.journal import History, Journal
from tests.history.records import LostWrites
from tests.history.replication import WRITTEN_DOWN_NS as GRACE
from tests.history.verdict import REPLICATION, violations

SUBJECT = ("translation", 1)
OTHER = ("translation", 2)
ALL = frozenset(range(SLOTS))


def rules(*lines: str, newest: int = 9) -> list[str]:
    """What is wrong with a history; each line begins with the number of its process."""
    history = History()
    for line in lines:
        process, event, item, *details = line.split()
        history.add(int(process), event, "translation", item, *details)
    return [violation.rule for violation in violations(history, {SUBJECT: newest, OTHER: newest})]


def test_nothing_is_wrong_with_an_empty_history():
    assert rules() == []


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ("0 read 1 2 100 110", []),
        ("0 read 1 3 100 110", []),
        ("0 read 1 1 100 110", ["stale"]),
        ("7 read 1 1 100 110", ["stale"]),  # in any process
        ("0 read 1 1 50 110", []),  # it began before the acknowledgement
        ("0 read 2 1 100 110", []),  # another item
    ],
)
def test_a_read_after_an_acknowledged_invalidation_is_of_that_version_or_newer(read, found):
    assert rules("0 acknowledged 1 2 60 key", read) == found


def test_acknowledgements_may_come_in_any_order():
    newer, older = "0 acknowledged 1 5 60 key", "1 acknowledged 1 4 70 key"
    assert rules(newer, older, "2 read 1 4 80 90") == ["stale"]
    assert rules(older, newer, "2 read 1 4 65 90") == ["stale"]
    assert rules(older, newer, "2 read 1 4 55 90") == []


def test_what_is_near_may_lag_for_a_moment_but_not_where_it_was_invalidated():
    lag_ns = round(MAX_LAG_SECONDS * 1e9)

    def rules_of(*lines: tuple[Any, ...]) -> list[str]:
        history = History()
        for process, event, *details in lines:
            history.add(process, event, "vocabulary", "1", *map(str, details))
        return [violation.rule for violation in violations(history, {("vocabulary", 1): 9})]

    for way, own in (("key", ["stale in its process"]), ("bare del", [])):
        acknowledged = (0, "acknowledged", 2, 60, way)
        assert rules_of(acknowledged, (1, "read", 1, 100, 110)) == []
        assert rules_of(acknowledged, (0, "read", 1, 100, 110)) == own
        assert rules_of(acknowledged, (1, "read", 1, 61 + lag_ns, 70 + lag_ns)) == ["stale"]


def test_an_outage_excuses_no_stale_read():
    assert rules("0 acknowledged 1 2 60 key", "0 exception 1 105", "0 read 1 1 100 110") == ["stale"]


def test_what_is_in_the_outbox_binds_its_own_process_only():
    promised = "0 promised 1 2 60 key"
    assert rules(promised, "0 read 1 1 100 110") == ["stale in its process"]
    assert rules(promised, "1 read 1 1 100 110") == []
    assert rules(promised, "0 read 1 2 100 110") == []


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ("0 read 1 4 30 40", ["backwards"]),
        ("0 read 1 5 30 40", []),
        ("0 read 1 4 15 40", []),  # at the same time
        ("1 read 1 4 30 40", []),  # another process
        ("0 read 2 4 30 40", []),
    ],
)
def test_reads_of_a_process_do_not_go_backwards(second, found):
    assert rules("0 read 1 5 10 20", second) == found
    assert rules(second, "0 read 1 5 10 20") == found


def test_a_read_without_redis_says_nothing_about_what_comes_after_it():
    first, second = "0 read 1 5 10 20", "0 read 1 4 30 40"
    assert rules(first, "0 exception 1 15", second) == []
    assert rules(first, "0 exception 1 25", second) == ["backwards"]
    assert rules(first, "0 exception 1 35", second) == ["backwards"]
    assert rules(first, "0 exception 2 15", second) == ["backwards"]
    assert rules(first, "1 exception 1 15", second) == ["backwards"]


def test_a_version_that_never_was():
    assert rules("0 read 1 10 30 40", newest=9) == ["from nowhere"]


def test_values_of_others_and_errors():
    assert rules("0 mixed 1 Word", "0 failed 1 OSError") == ["mixed", "failed"]


def test_what_a_journal_holds_can_be_read_back(tmp_path: Path):
    journal = Journal(tmp_path / "one.journal")
    journal.read(SUBJECT, 1, 5)
    journal.acknowledged(SUBJECT, 2, "bare del of a tag, later")
    journal.promised(SUBJECT, 3, "key")
    journal.exception(OTHER)
    journal.mixed(OTHER, "a\tb\nc")
    journal.failed(OTHER, OSError("gone"))
    journal.close()
    with (tmp_path / "one.journal").open("a") as file:
        file.write("read\ttranslation\t1\t7")  # cut off by kill -9
    history = History.load([tmp_path / "none.journal", tmp_path / "one.journal"])
    (read,) = history.reads[SUBJECT]
    assert (read.process, read.version, read.began) == (1, 1, 5)
    assert read.ended <= history.acknowledged[SUBJECT][0][0] <= history.promised[1, SUBJECT][0][0]
    assert [version for _, version in history.acknowledged[SUBJECT]] == [2]
    assert history.ways == {"bare del of a tag, later": 1}
    assert len(history.exceptions[1, OTHER]) == 1
    assert history.mixed == [r"translation 2: 'a\tb\nc'"]
    assert history.failed == ["translation 2: OSError('gone')"]
    assert len(history) == 1


@pytest.mark.parametrize(
    ("lost", "read", "found"),
    [
        ([LostWrites(50, 70, ALL)], "2 read 1 1 100 110", [REPLICATION]),
        ([LostWrites(50, 70, ALL - {slot_of("key")})], "2 read 1 1 100 110", ["stale"]),  # of another node
        ([LostWrites(50 - GRACE, 59 - GRACE, ALL)], "2 read 1 1 100 110", ["stale"]),  # lost before
        ([LostWrites(61, 70, ALL)], "2 read 1 1 100 110", ["stale"]),  # acknowledged before
        ([LostWrites(50, 70, ALL)], "2 read 1 2 100 110", []),
        ([LostWrites(50, 70, ALL)], "0 read 1 0 100 110", ["stale"]),  # older than what no one has lost
    ],
)
def test_what_a_lost_primary_has_acknowledged_counts_on_its_own(lost, read, found):
    history = History(lost=lost, names={SUBJECT: ["key"]})
    for line in ("0 acknowledged 1 1 10 key", "0 acknowledged 1 2 60 key", read):
        process, event, item, *details = line.split()
        history.add(int(process), event, "translation", item, *details)
    assert [violation.rule for violation in violations(history, {SUBJECT: 9})] == found


def test_after_a_loss_versions_may_go_backwards_but_not_in_the_process_that_waits_for_its_confirmation():
    history = History(lost=[LostWrites(50, 70, ALL)], names={SUBJECT: ["key"]})
    for line in (
        "0 acknowledged 1 2 60 key",
        "1 read 1 2 61 65",
        "1 read 1 1 80 90",
        "0 promised 1 2 75 key",
        "0 read 1 1 80 90",
    ):
        process, event, item, *details = line.split()
        history.add(int(process), event, "translation", item, *details)
    rules = [violation.rule for violation in violations(history, {SUBJECT: 9})]
    assert sorted(rules) == [REPLICATION, REPLICATION, "stale in its process"]
