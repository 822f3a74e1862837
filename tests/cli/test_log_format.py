"""``--log-format json``: every line on stderr is one JSON object."""

import json

import pytest

from tests.harness.cli import run_cli


def objects(stderr: str) -> list[dict[str, str]]:
    found = [json.loads(line) for line in stderr.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(one) for one in found)
    return found


@pytest.mark.parametrize("option", [("--log-format", "json"), ("--log-format=json",)])
def test_errors_targets_and_hints_are_objects(option, call):
    ended = call("stats", *option, env={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert ended.code == 69
    target, error, hint = objects(ended.stderr)
    assert (target["level"], error["level"], hint["level"]) == ("info", "error", "info")
    assert target["message"].startswith("redis://127.0.0.1:1/0 namespace=cache")
    assert not error["message"].startswith("langcache: ")
    assert (hint["logger"], hint["message"][:5]) == ("langcache", "Start")


def test_a_wrong_command_line_and_a_traceback_are_objects_too(call):
    (refused, _) = objects(call("clear", "--frobnicate", "--log-format", "json").stderr)
    assert "--frobnicate" in refused["message"]
    ended = call("config", "show", "--env-file", "none", "--debug", "--log-format", "json")
    traceback, error = objects(ended.stderr)
    assert "Traceback" in traceback["traceback"]
    assert "none cannot be read" in error["message"]
    assert "json" in call("types", "--log-format", "xml").stderr
    assert call("stats", env={"REDIS_URL": "redis://127.0.0.1:1/0"}).stderr.startswith(
        "redis://"
    )  # as before


def test_warnings_of_the_core_are_objects():
    ended = run_cli("types", "--log-format", "json", env={"LANGCACHE_NAMESPCE": "x"})
    assert ended.code == 0
    loggers = {one["logger"]: one for one in objects(ended.stderr)}
    (warning,) = [one for name, one in loggers.items() if name != "langcache"]
    assert warning["level"] == "warning"
    assert "did you mean LANGCACHE_NAMESPACE?" in warning["message"]


def test_help_of_a_command_is_that_of_its_option(call):
    for words in ((), ("stats",), ("keys", "list"), ("redis", "start")):
        asked = call("help", *words)
        assert (asked.code, asked.stderr) == (0, "")
        assert (
            asked.stdout.split("\n", 1)[1].strip() == call(*words, "--help").stdout.split("\n", 1)[1].strip()
        )
    assert call("help", "keys", "--json").document["text"].startswith("Usage: langcache")
    unknown = call("help", "keys", "lisst")
    assert unknown.code == 2
    assert "there is no command 'keys lisst'; did you mean 'keys list'?\n" in unknown.stderr
