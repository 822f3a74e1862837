"""Recorded benchmark results: what is in them, and how two of them are compared."""

import json

import pytest

from benchmarks import comparison, recording
from benchmarks.rounds import Measured

HITS = "One hit after another, µs"
KEYS = "Hits as keys grow"
LAG = "Lag, ms"


def result(median: float, low: float, high: float, **machine: str):
    found = {
        HITS: {"langcache": Measured(median, low, high, 1.0)},
        KEYS: {"1,000 keys": {"hit, µs": median}},
        LAG: {"p50": 0.123456789},
    }
    return recording.document(found, {"cpu": "one", **machine}, rounds=3)


def test_a_document_is_small_json_with_commit_date_and_machine():
    document = json.loads(json.dumps(result(80.0, 70.0, 90.0)))
    assert document["machine"] == {"cpu": "one"}
    assert document["rounds"] == 3
    assert document["measured"][:2] == "20"
    assert document["commit"]
    assert document["results"][HITS]["langcache"] == {"median": 80, "low": 70, "high": 90, "ratio": 1}
    assert document["results"][LAG] == {"p50": 0.12346}


def test_it_is_recorded_under_its_date_and_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "results")
    document = result(80.0, 70.0, 90.0)
    path = recording.record(document)
    assert path.name == f"{document['measured'][:10]}-{document['commit']}.json"
    assert json.loads(path.read_text("utf-8")) == document


def test_recorded_files_are_small_and_can_be_compared():
    for path in sorted(recording.RESULTS.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        assert path.stat().st_size < 20_000
        assert path.name == f"{document['measured'][:10]}-{document['commit']}.json"
        assert all(change.ratio == 1 for change in comparison.changes(document, document))


def test_the_machine_names_what_a_result_depends_on():
    about = recording.machine()
    assert {"cpu", "cores", "load", "python", "redis-server", "redis", "hiredis", "pydantic"} <= set(about)
    assert about["redis-server"][0].isdigit()


@pytest.mark.parametrize(
    ("after", "apart"),
    [((40.0, 35.0, 60.0), True), ((75.0, 69.0, 88.0), False), ((120.0, 100.0, 130.0), True)],
)
def test_a_comparison_has_the_ratio_and_says_whether_the_rounds_are_apart(after, apart):
    change = comparison.changes(result(80.0, 70.0, 90.0), result(*after))[0]
    assert (change.section, change.name, change.apart) == (HITS, "langcache", apart)
    assert change.ratio == pytest.approx(after[0] / 80)


def test_it_compares_tables_of_every_form():
    found = comparison.changes(result(80.0, 70.0, 90.0), result(40.0, 35.0, 60.0))
    assert [(change.name, change.ratio) for change in found] == [
        ("langcache", 0.5),
        ("1,000 keys, hit, µs", 0.5),
        ("p50", 1.0),
    ]


def test_what_only_one_of_them_has_is_left_out():
    before, after = result(80.0, 70.0, 90.0), result(40.0, 35.0, 60.0)
    del after["results"][HITS]
    assert {change.section for change in comparison.changes(before, after)} == {KEYS, LAG}


def test_nothing_that_stays_nothing_is_no_change():
    assert comparison.Change("", "", 0.0, 0.0, apart=False).ratio == 1
    assert comparison.Change("", "", 0.0, 1.0, apart=False).ratio == float("inf")


def test_different_machines_are_pointed_out():
    shown = comparison.markdown(result(80.0, 70.0, 90.0), result(40.0, 35.0, 60.0, cpu="another"))
    assert "- cpu: one, then another" in shown
    assert "| One hit after another, µs | langcache | 80 | 40 | 0.50 | yes |" in shown
