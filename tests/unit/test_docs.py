"""README and .env.example say what the program does."""

import re
from pathlib import Path

import pytest
import typer.main

from langcache_cli.caching import CachedOptions, CacheSettings
from langcache_cli.caching._config.settings import _aliases
from langcache_cli.cli.arguments import FLAGS, WITH_VALUE
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"langcache ((?:-q )?[a-z]+(?: [^`\n|&>]*)?)", README)))


def parse(line: str) -> tuple[list[str], object]:
    """The options of a command line, and the command that must know them."""
    command = typer.main.get_command(app)
    words = [word for word in line.split() if word not in FLAGS | WITH_VALUE]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return [word for word in words if word.startswith("-")], command


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_line_of_the_readme_exists(line):
    options, command = parse(line)
    assert command is not typer.main.get_command(app), f"no such command: langcache {line}"
    known = {name for parameter in command.params for name in parameter.opts}
    assert set(options) <= known | {"--help"}


def test_the_readme_lists_every_command():
    listed = set(re.findall(r"^\| `langcache ([a-z]+)", README, re.MULTILINE))
    assert set(typer.main.get_command(app).commands) - {"version"} == listed


def test_the_readme_lists_every_exit_code():
    table = README[README.index("| exit code |") :].split("\n\n")[0]
    assert {int(number) for number in re.findall(r"\| (\d+) \|", table)} == set(ExitCode)


def test_the_readme_lists_every_option_of_cached():
    (row,) = re.findall(r"^\| `@cached\(([^)]*)\)`", README, re.MULTILINE)
    assert [option.strip("= ") for option in row.split(",")] == list(CachedOptions.__annotations__)


def test_every_setting_is_explained_in_the_example_file():
    example = (ROOT / ".env.example").read_text("utf-8")
    explained = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    names = {
        (_aliases(field) or [f"LANGCACHE_{name.upper()}"])[0]
        for name, field in CacheSettings.model_fields.items()
    }
    assert names | {"DATABASE_URL", "LANGCACHE_STATE_DIR"} <= explained


def test_the_example_file_shows_the_defaults():
    from_file = CacheSettings.load(env_file=ROOT / ".env.example")
    assert from_file == CacheSettings.load(env_file=None)
