"""What is printed where: one document, plain columns in a pipe, nothing that only a terminal understands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_support import MARK, no_noise, url_of
from tests.harness.cli import COMMAND, Run, cli_environment, run_cli, run_together


def test_global_options_may_stand_before_or_after_the_command(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis)}
    before, after, loud = run_together(
        ("-q", "--timeout=1", "stats"), ("stats", "--timeout", "1", "-q"), ("stats",), env=env
    )
    assert before.code == after.code == loud.code == 0
    assert before.stdout.splitlines()[1].split() == [
        "Type", "Keys", "Hits", "Misses", "Hit", "rate", "Hit", "p95", "Load", "p95",
    ]  # fmt: skip
    assert before.stderr == after.stderr == ""
    assert loud.stderr == f"redis://***@127.0.0.1:{secured_redis.port}/0 namespace=cache env=unset\n"


def test_files_and_options_win_over_the_environment(secured_redis, tmp_path, call):
    url, settings = tmp_path / "url", tmp_path / "settings.env"
    url.write_text(f"{url_of(secured_redis, db=3)}\n")
    settings.write_text("LANGCACHE_ENV=dev\nLANGCACHE_NAMESPACE=fromfile\nREDIS_TTL_VOCABULARY=77\n")
    env = {"REDIS_URL": f"redis://:{MARK}@127.0.0.1:1/0", "LANGCACHE_NAMESPACE": "fromenv"}
    secured_redis.command("SET", "chosen:vocabulary:f:1", "1")
    given = ("--url-file", str(url), f"--env-file={settings}", "--namespace", "chosen")
    ended = call("stats", "--json", *given, env=env)
    inherited = call("stats", "--json", *given[:3], env=env)
    port = secured_redis.port
    assert ended.document["target"] == f"redis://***@127.0.0.1:{port}/3 namespace=chosen env=dev"
    assert ended.document["types"]["vocabulary"]["ttl_seconds"] == 77
    assert inherited.document["target"] == f"redis://***@127.0.0.1:{port}/3 namespace=fromenv env=dev"


def test_a_pipe_gets_no_escapes_no_boxes_and_whole_lines():
    ended = run_cli("types", env={"FORCE_COLOR": "1", "COLUMNS": "40", "TERM": "xterm-256color"})
    no_noise(ended)
    lines = ended.stdout.splitlines()
    assert len(lines) == 6
    progress = next(line for line in lines if line.startswith("progress"))
    assert "vocabulary_stats, vocabulary_progress, user_stats" in progress
    assert all(line == line.rstrip() for line in lines)


def test_a_long_key_is_shown_whole_and_quoted_in_no_way(secured_redis):
    key = f"cache:vocabulary:f:{'ü' * 120}"
    secured_redis.command("SET", key, "1")
    whole, ascii_only = (
        run_cli(
            "clear", "--pattern", "cache:vocabulary:*", "-n", env={"REDIS_URL": url_of(secured_redis), **env}
        )
        for env in ({}, {"PYTHONIOENCODING": "ascii"})
    )
    assert whole.code == ascii_only.code == 0
    assert whole.stdout.splitlines()[1] == f"  {key}"
    assert ascii_only.stdout.splitlines()[1] == f"  cache:vocabulary:f:{chr(92)}xfc" + f"{chr(92)}xfc" * 119


COMMANDS = [
    (("types",), "types", 0),
    (("version",), "version", 0),
    (("--version",), "version", 0),
    (("stats", "--min-hit-rate", "50"), "stats", 1),
    (("check", "--roundtrip"), "check", 0),
    (("clear", "--all", "--yes"), "clear", 0),
    (("warm", "--dry-run"), "warm", 0),
    (("redis", "status"), "redis.status", 0),
    (("redis", "start"), "redis.start", 0),
]


def test_json_is_one_document_with_a_schema_whatever_the_command(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    results = [call(*line, "--json", env=env) for line, _, _ in COMMANDS]
    for (line, schema, code), ended in zip(COMMANDS, results, strict=True):
        assert ended.code == code, line
        assert ended.document["schema"] == f"langcache.{schema}/1"
        assert ended.stdout.count("\n") == 1
        no_noise(ended)
        assert not ended.stderr
    missed = results[3].document
    message = "no call was counted in the last hour: the hit rate is unknown"
    assert (missed["exit_code"], missed["error"]["message"]) == (1, message)


def test_measures_in_documents_carry_their_unit(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    lines = [("stats",), ("bench", "--duration", "0.01", "--repeat", "1"), ("warm",), ("types",), ("check",)]
    units = ("_ms", "_seconds", "_bytes", "_ratio", "_per_second", "_percents", "_processes")
    for ended in [call(*line, "--json", env=env) for line in lines]:
        measures = {name for name, value in _leaves(ended.document) if isinstance(value, float)}
        assert all(name.endswith(units) or name == "seconds" for name in measures), measures


def _leaves(value: object, name: str = ""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, name)
    else:
        yield name, value


@pytest.mark.parametrize(
    "line", [("types",), ("stats",), ("--help",), ("warm", "--help"), ("stats", "--json")], ids=" ".join
)
def test_a_reader_who_leaves_early_is_no_error(line, secured_redis):
    """``langcache ... | true``: the pipe is closed before the first byte."""
    assert into_a_closed_pipe(*line, env={"REDIS_URL": url_of(secured_redis)}) == Run(0, "", "")


def test_a_reader_who_takes_one_line_is_no_error():
    shell = f"'{sys.executable}' -m langcache_cli types | head -1"
    done = subprocess.run(
        ["/bin/sh", "-c", shell], env=cli_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Type ")
    assert not done.stderr


def test_a_full_disk_is_said_in_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "types"],
            env=cli_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 78
    assert done.stderr == "langcache: the result cannot be written: No space left on device\n"


def test_completion_scripts_get_what_they_ask_for():
    env = {"_LANGCACHE_COMPLETE": "complete_bash", "COMP_WORDS": "langcache st", "COMP_CWORD": "1"}
    done = run_cli(env=env)
    assert (done.code, done.stdout.split(), done.stderr) == (0, ["stats"], "")


def into_a_closed_pipe(*args: str, env: dict[str, str]) -> Run:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    with reader.stdin as pipe:
        done = subprocess.run(
            [*COMMAND, "-q", *args],
            env=cli_environment(env),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return Run(done.returncode, "", done.stderr)
