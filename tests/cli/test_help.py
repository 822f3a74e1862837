"""Help and version: quick, complete, plain."""

import json
import re
import shlex
import sys

import pytest
import typer.main

from langcache_cli import __version__
from langcache_cli.cli.help import without_examples
from langcache_cli.cli.main import app
from tests.cli.cli_support import no_noise, url_of
from tests.harness.cli import finish, run_cli, start_cli
from tests.harness.cli_lines import parsed


def all_commands(command=None, path=()):
    command = command or typer.main.get_command(app)
    yield path, command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from all_commands(subcommand, (*path, name))


@pytest.mark.parametrize(
    ("path", "command"), [*all_commands()], ids=lambda item: " ".join(item) if isinstance(item, tuple) else ""
)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_option_and_says_what_it_does(path, command, flag, call):
    shown = call(*path, flag)
    assert shown.code == 0
    no_noise(shown)
    assert not shown.stderr
    assert f"Usage: {' '.join(('langcache', *path))} " in shown.stdout
    for parameter in command.params:
        assert parameter.help, f"{parameter.name} has no help"
        assert all(name in shown.stdout for name in parameter.opts)
    for name, subcommand in getattr(command, "commands", {}).items():
        assert subcommand.help, f"{name} has no help"
        assert f"\n  {name} " in shown.stdout
    text = shown.stdout.lower()
    assert not any(word in text for word in ("todo", "not implemented", "coming soon"))


def examples_of(command) -> list[list[str]]:
    """The words of each example of a command, without what is said about it."""
    _, examples = without_examples(command.help or "")
    lines = [re.split(r"  +|\s>+\s", line)[0] for line in examples.splitlines()]
    return [shlex.split(line[line.index("langcache ") :]) for line in lines]


@pytest.mark.parametrize(("path", "command"), [*all_commands()], ids=lambda item: str(item)[:40])
def test_help_begins_with_examples_that_can_be_typed(path, command, call):
    examples = examples_of(command)
    assert examples
    assert call(*path, "--help").stdout.split("\n")[2] == "Examples:"
    for words in examples:
        assert tuple(words[1 : len(path) + 1]) == path
        parsed(words)


def test_help_is_as_wide_as_the_terminal():
    for columns, widest in ((60, 60), (100, 100), (200, 120)):
        shown = finish(start_cli("warm", "--help", env={"COLUMNS": str(columns)})).stdout
        _, wrapped = shown.split("\n\n  Fill")  # behind the examples, which are lines to type
        assert widest - 25 < max(map(len, wrapped.splitlines())) <= widest


def test_the_version_is_that_of_the_package_however_it_is_asked_for():
    flag = run_cli("--version")
    assert (flag.code, flag.stdout, flag.stderr) == (0, f"langcache {__version__}\n", "")


def test_the_version_command_says_the_same(call):
    assert call("version").stdout == f"langcache {__version__}\n"
    for line in (("version", "--json"), ("--version", "--json"), ("--json", "--version")):
        assert call(*line).document == {"schema": "langcache.version/1", "version": __version__}


LOADED = """
import json, sys
from langcache_cli.cli.main import run
code = run(sys.argv[1:])
heavy = ("redis", "hiredis", "sqlalchemy", "asyncpg", "rich.table", "psutil", "langcache_cli.caching", "langcache_cli.vocabulary", "langcache_cli.servers", "langcache_cli.operations", "platformdirs", "filelock")
print(json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr)
sys.exit(code)
"""  # noqa: E501


@pytest.mark.parametrize(
    "line", [("--help",), ("--version",), ("warm", "--help"), ("--frobnicate",)], ids=" ".join
)
def test_who_asks_for_help_or_mistypes_does_not_wait_for_heavy_imports(line):
    ended = finish(start_cli(*line, command=(sys.executable, "-c", LOADED)))
    assert ended.code == (2 if line == ("--frobnicate",) else 0)
    assert json.loads(ended.stderr.splitlines()[-1]) == []


def test_the_sample_needs_no_server_code_to_find_its_folder(secured_redis, state_folder):
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_STATE_DIR": str(state_folder)}
    ended = finish(start_cli("warm", "--sample", "-n", env=env, command=(sys.executable, "-c", LOADED)))
    assert ended.code == 0
    loaded = json.loads(ended.stderr.splitlines()[-1])
    assert "langcache_cli.vocabulary" in loaded
    assert not {"langcache_cli.servers", "psutil", "filelock"} & set(loaded)
