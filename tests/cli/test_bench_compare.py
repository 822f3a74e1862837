"""``langcache bench``: results in files, compared with each other and with limits."""

import copy
import json

import pytest

from tests.cli.cli_support import complaint, keys_of, url_of

QUICK = ("--duration", "0.01", "--repeat", "5", "--path", "noop", "--path", "ping")


@pytest.fixture
def results(tmp_path, secured_redis, call):
    """A run in a file, and the same at twice the time, in another."""
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    env = {"REDIS_URL": url_of(secured_redis)}  # and no DATABASE_URL
    ended = call("bench", *QUICK, "--out", str(before), env=env)
    assert ended.code == 0, ended
    assert f"The result is in {before}." in ended.stderr
    document = json.loads(before.read_text())
    document |= {"status": "valid", "reasons": []}  # whatever else the machine did meanwhile
    slower = copy.deepcopy(document)
    for run, factor in ((document, 1), (slower, 50)):
        for metric in ("p50_ms", "p99_ms"):
            run["paths"]["ping"][metric] = 0.1 * factor
            run["paths"]["ping"]["turns"][metric] = [0.1 * factor, 0.101 * factor, 0.099 * factor] * 2
    before.write_text(json.dumps(document))
    slower["status"], slower["reasons"] = "noisy", ["ping: disturbed"]
    slower["versions"]["redis_server"] = "0.0"
    after.write_text(json.dumps(slower))
    return before, after


def test_two_files_are_compared_and_a_limit_fails_the_run(results, call):
    before, after = map(str, results)
    shown = call("bench", "compare", before, after)
    assert shown.code == 0, shown
    assert "redis_server: " in shown.stdout
    assert "0.0 now" in shown.stdout
    words = [line.split() for line in shown.stdout.splitlines()]
    assert [line[0] for line in words[1:3]] == [line[0] for line in words[5:7]] == ["noop", "ping"]
    assert float(words[2][4]) == pytest.approx(50 * float(words[2][3]))
    assert "AFTER (after.json) is NOISY, its numbers must not be quoted: ping: disturbed\n" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("1 of 2 paths is slower: ping, 50.00 times (49.")
    failed = call("bench", "compare", before, after, "--fail-on=ping:p50>+10%", "--fail-on=noop:p99>+5%")
    assert failed.code == 1
    assert complaint(failed) == "langcache: 1 limit is exceeded"
    assert failed.stdout.count("ping: p50 is ") == 1
    assert "EXCEEDED: ping: p50 is " in failed.stdout
    document = call("bench", "compare", before, after, "--fail-on=ping:p50>+10%", "--json").document
    assert document["schema"] == "langcache.bench.compare/1"
    ping = document["paths"]["ping"]
    assert ping["after"]["p99_ms"] == pytest.approx(50 * ping["before"]["p99_ms"])
    assert ping["ratio"] > 1
    assert len(document["exceeded"]) == 1
    assert document["summary"].startswith("1 of 2 paths is slower")
    assert document["warnings"][-1].startswith("AFTER (after.json) is NOISY")
    assert call("bench", "compare", before, before, "--fail-on", "ping:p99>+10%").code == 0
    unjudged = call("bench", "compare", before, before, "--fail-on", "p99>+10%")
    assert unjudged.code == 2
    assert complaint(unjudged) == "langcache: 1 limit cannot be judged"
    assert "NOT JUDGED: p99>+10% is about all paths but noop" in unjudged.stdout


def test_a_run_is_held_against_its_baseline(results, secured_redis, call):
    before, _ = map(str, results)
    env = {"REDIS_URL": url_of(secured_redis)}
    passed = call("bench", *QUICK, "--baseline", before, "--fail-on", "ping:p50>+100000%", "--json", env=env)
    assert passed.code == 0, passed
    assert passed.document["exceeded"] == []
    assert set(passed.document["comparison"]["paths"]) == {"noop", "ping"}
    failed = call("bench", *QUICK, "--baseline", before, "--fail-on", "ping:p50>-99.9%", env=env)
    assert failed.code == 1
    assert "ping:p50>-99.9%" in failed.stdout
    alone = call("bench", *QUICK, "--fail-on", "ping:p50>0.0001ms", env=env)
    assert alone.code == 1
    assert not keys_of(secured_redis)


def test_help_says_what_the_paths_are(call):
    shown = " ".join(call("bench", "--help").stdout.split())
    for words in (
        "Paths: noop (what measuring costs)",
        '"PREFIX:FUNCTION origin" (the function without the cache)',
    ):
        assert words in shown
    assert "'hit:p50>+25%'" in shown


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (("--fail-on", "p99>10"), 2, "write one such as 'hit:p50>+25%'"),
        (("--fail-on", "p99>+10%"), 2, "Add --baseline FILE"),
        (("--path", "ping", "--fail-on", "hit:p99>5ms"), 2, "'hit' is not measured"),
        (
            ("--path", "ping", "--baseline", "BEFORE", "--fail-on", "p50>+9%"),
            2,
            "Begin the limit with a path",
        ),
        (("--app", "x", "--sample"), 2, "give one of them"),
        (("--out", "/nonexistent/x.json", "--path", "ping"), 78, "there is no folder"),
        (("compare", "BEFORE"), 2, "AFTER"),
        (("compare", "BEFORE", "none.json"), 78, "none.json"),
        (("compare", "BEFORE", "OTHER"), 2, "without --rate"),
        (("compare", "BEFORE", "BEFORE", "--fail-on", "get:p99>+1%"), 2, "'get' was not measured"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_compared_says_why(line, code, says, results, call):
    before, _ = results
    other = before.with_name("other.json")
    other.write_text(json.dumps({**json.loads(before.read_text()), "rate_per_second": 5.0}))
    words = {"BEFORE": str(before), "OTHER": str(other)}
    refused = call(
        "bench", *(words.get(word, word) for word in line), env={"REDIS_URL": "redis://127.0.0.1:1"}
    )
    assert refused.code == code, refused
    assert says in refused.stderr
