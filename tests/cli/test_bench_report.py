"""``bench --report``: one file that shows the run, needs nothing else, and says how far to trust it."""

import errno
import json
import re
import time
from base64 import b64encode
from hashlib import sha256

import pytest

from tests.cli.cli_support import complaint, url_of
from tests.cli.report_page import Page
from tests.harness.cli import finish, start_cli
from tests.harness.polling import eventually

QUICK = ("bench", "--path=noop", "--path=get", "--duration=0.02", "--repeat=5")
HOSTILE = "</script><script>alert(1)</script>@SCRIPT@\u202e\u2028\udcff.html"


@pytest.fixture
def env(secured_redis):
    return {"REDIS_URL": url_of(secured_redis)}


def test_the_page_holds_all_that_it_needs_and_may_load_nothing(env, call, tmp_path):
    path = tmp_path / "report.html"
    ended = call(*QUICK, "--report", str(path), "--json", env=env)
    assert ended.code == 0, ended
    text = path.read_text("utf-8")
    page = Page(text)
    assert json.loads(page.texts["application/json"]) == ended.document
    (policy,) = [found["content"] for tag, found in page.tags if tag == "meta" and "http-equiv" in found]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for name, kind in (("script-src", "module"), ("style-src", "style")):
        digest = b64encode(sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    links = [value for _, found in page.tags for name, value in found.items() if name in {"src", "href"}]
    assert links == ["data:,"]
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}, (
        "a name, not a link"
    )
    assert "import " not in page.texts["module"].replace("important", "")
    assert len(text) < 80_000


def test_the_document_has_what_the_charts_need(env, call):
    document = call(*QUICK, "--json", env=env).document
    assert document["status"] in {"valid", "noisy"}
    assert document["command_line"] == "langcache bench --path noop --path get --duration 0.02 --json"
    assert document["settings"]["LANGCACHE_OPERATION_TIMEOUT"] == "2.0"
    assert set(document["settings"]) >= {"REDIS_ENABLED", "REDIS_TTL_DEFAULT", "LANGCACHE_NAMESPACE"}
    assert "REDIS_URL" not in document["settings"]
    assert set(document["host"]) == {"system", "cpus", "load_before_processes", "load_after_processes"}
    assert len(document["quantile_percents"]) == 200
    for path in document["paths"].values():
        assert len(path["quantiles_ms"]) == 200
        assert path["schedule"] is None
        assert path["turns"]["at_seconds"] == sorted(path["turns"]["at_seconds"])
        assert sum(path["turns"]["count"]) == sum(path["slices"]["count"]) == path["count"]
        assert set(path["slices"]["turn"]) == {1, 2, 3, 4, 5}
        assert {len(column) for column in path["slices"].values()} == {60}


def test_text_of_others_cannot_leave_its_place(env, call, tmp_path):
    folder = tmp_path / "<"
    (folder / HOSTILE).parent.mkdir(parents=True)
    report = folder / HOSTILE
    assert call(*QUICK, "--report", str(report), env=env).code == 0
    page = Page(report.read_text("utf-8"))
    assert [found.get("type") for tag, found in page.tags if tag == "script"] == [
        "application/json",
        "module",
    ]
    assert str(report) in json.loads(page.texts["application/json"])["command_line"]


def test_a_report_that_exists_is_replaced(env, call, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old " * 100_000)
    ended = call(*QUICK, "--report", str(path), env=env)
    assert ended.code == 0
    assert "old old" not in path.read_text("utf-8")
    assert f"The report is in {path}." in ended.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/report.html", "there is no folder"),
        (".", "this is a folder"),
        ("file/report.html", "no folder"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_the_run(name, reason, env, call, tmp_path):
    (tmp_path / "file").write_text("")
    ended = call("bench", "--path=noop", "--duration=60", "--report", str(tmp_path / name), env=env)
    assert ended.code == 78
    assert reason in complaint(ended)


def test_a_file_that_may_not_be_written_is_refused_before_the_run(env, call, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everything
    ended = call("bench", "--path=noop", "--duration=60", "--report", str(tmp_path / "report.html"), env=env)
    assert ended.code == 78
    assert "cannot be written" in complaint(ended)


def test_a_disk_that_is_full_costs_the_report_not_the_result(env, call, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    ended = call(*QUICK, "--report", str(tmp_path / "report.html"), "--json", env=env)
    assert ended.code == 78
    assert ended.document["paths"]["get"]["count"] > 0
    assert "No space left on device" in complaint(ended)


def test_a_closed_pipe_does_not_cost_the_report(env, tmp_path):
    path = tmp_path / "report.html"
    with start_cli(*QUICK, "--report", str(path), "--json", env=env) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
    assert Page(path.read_text("utf-8")).texts["application/json"]


def test_a_run_is_compared_with_a_document_or_a_report(env, call, tmp_path):
    page, file = tmp_path / "first.html", tmp_path / "first.json"
    first = call(*QUICK, "--report", str(page), "--json", env=env)
    file.write_text(first.stdout)
    first_document = first.document
    for path in first_document["paths"].values():
        del path["slices"]
    found = [call(*QUICK, "--baseline", str(path), "--json", env=env).document for path in (page, file)]
    for document in found:
        assert document["comparison"]["baseline"] == first_document
        assert document["comparison"]["differences"] == []
        for change in document["comparison"]["paths"].values():
            assert change["outcome"] in {"no difference", "faster", "slower"}
            assert change["lowest"] <= change["ratio"] <= change["highest"]
    shown = call(*QUICK, "--baseline", str(page), "--duration=0.03", env=env)
    assert shown.code == 0
    assert "turn_seconds: 0.02 then, 0.03 now" in shown.stdout
    row = r"^get +(no difference|faster|slower) +[0-9.]+ +[0-9.]+ to [0-9.]+$"
    assert re.search(row, shown.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("before", "now", "load"),
    [
        ("--repeat=1", "--concurrency=2", "with --concurrency 1"),
        ("--rate=50", "--repeat=1", "with --rate 50"),
    ],
)
def test_a_baseline_under_another_load_is_refused(before, now, load, env, call, tmp_path):  # noqa: PLR0917
    path = tmp_path / "baseline.json"
    path.write_text(call("bench", "--path=noop", "--duration=0.05", before, "--json", env=env).stdout)
    ended = call("bench", "--path=noop", "--duration=60", now, "--baseline", str(path), env=env)
    assert ended.code == 2
    assert f"it was measured {load};" in complaint(ended)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "langcache.stats/1"}', "\udcff"])
def test_what_is_no_baseline_is_refused_before_the_run(content, env, call, tmp_path):
    path = tmp_path / "baseline.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    ended = call("bench", "--path=noop", "--duration=60", "--baseline", str(path), env=env)
    assert ended.code == 78
    assert "is no result of 'langcache bench'" in complaint(ended)


def test_a_baseline_of_a_version_without_turns_says_so(env, call, tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text('{"schema": "langcache.bench/1", "paths": {"noop": {"count": 1}}}')
    ended = call("bench", "--path=noop", "--duration=60", "--baseline", str(path), env=env)
    assert ended.code == 78
    assert "has no turns" in complaint(ended)


def test_a_stall_of_500_ms_shows_in_the_p99_9_of_an_open_loop(env, secured_redis, tmp_path):
    def gets() -> int:
        found = re.search(rb"cmdstat_get:calls=(\d+)", secured_redis.command("INFO", "commandstats"))
        return int(found[1]) if found else 0

    path, before = tmp_path / "report.html", gets()
    line = (
        "bench",
        "--path=get",
        "--rate=200",
        "--duration=2",
        "--repeat=1",
        "--report",
        str(path),
        "--json",
    )
    process = start_cli(*line, env=env)
    eventually(lambda: gets() > before + 40, within=30)  # the warm-up is 20
    secured_redis.pause()
    time.sleep(0.5)  # the stall
    secured_redis.resume()
    ended = finish(process)
    assert ended.code in {0, 1}, ended  # 1: a busy machine may miss the rate
    measured = ended.document["paths"]["get"]
    assert measured["p99.9_ms"] > 450
    assert sum(count for count, slowest in slices_of(measured) if slowest > 100) >= 60, "of 100 in the stall"
    assert json.loads(Page(path.read_text("utf-8")).texts["application/json"]) == ended.document


def slices_of(measured):
    slices = measured["slices"]
    return [
        (count, slowest) for count, slowest in zip(slices["count"], slices["max_ms"], strict=True) if count
    ]


def test_a_rate_that_cannot_be_reached_makes_the_run_invalid(env, call, tmp_path):
    path = tmp_path / "report.html"
    line = ("bench", "--path=get", "--rate=1000000", "--duration=0.05", "--repeat=2", "--report", str(path))
    ended = call(*line, "--json", env=env)
    assert ended.code == 1
    assert ended.document["status"] == "invalid"
    assert ended.document["paths"]["get"]["schedule"]["reached_per_second"] < 990_000
    assert "the result is INVALID: get: " in complaint(ended)
    assert json.loads(Page(path.read_text("utf-8")).texts["application/json"])["status"] == "invalid"


def test_a_rate_and_workers_are_two_ways_to_ask(env, call):
    ended = call("bench", "--rate=5", "--concurrency=2", env=env)
    assert ended.code == 2
    assert "give one of them" in complaint(ended)


def test_an_open_loop_shows_its_schedule_in_text(env, call):
    shown = call("bench", "--path=get", "--rate=100", "--duration=0.2", "--repeat=1", env=env)
    assert re.search(
        r"^get: \d+ runs a second begun, late by [0-9.]+ ms \(median\)", shown.stdout, re.MULTILINE
    )
