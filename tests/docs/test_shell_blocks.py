"""The shell blocks of README.md and docs/: what they name exists."""

import importlib.util
import re
import shlex
import tomllib

import pytest

from tests.docs.blocks import DOCUMENTS, ROOT, blocks
from tests.unit.test_docs import parse

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
COMMANDS = sorted(
    {
        command.strip()
        for document in DOCUMENTS
        for block in blocks(document, "sh")
        for line in block.code.splitlines()
        for command in re.split(r"&&|\|\||[|;]", line.partition("#")[0])
        if command.strip()
    }
)
LANGCACHE = [command for command in COMMANDS if re.match(r"(\S*/)?langcache ", command)]
MODULES = [command for command in COMMANDS if re.match(r"(\S*/)?python3? -m ", command)]
EXTRAS = [command for command in COMMANDS if re.search(r"(langcache-cli|\.)\[", command)]


@pytest.mark.parametrize("command", LANGCACHE)
def test_every_langcache_command_and_its_options_exist(command):
    options, found = parse(re.sub(r"^\S*langcache | >.*$", "", command))
    known = {name for parameter in found.params for name in parameter.opts}
    is_group = hasattr(found, "commands") and not found.invoke_without_command
    assert not is_group, f"no such command: {command}"
    assert set(options) <= known | {"--help"}


@pytest.mark.parametrize("command", MODULES)
def test_every_module_that_is_run_exists(command):
    words = shlex.split(command)
    assert importlib.util.find_spec(words[words.index("-m") + 1]) is not None


@pytest.mark.parametrize("command", EXTRAS)
def test_every_extra_that_is_installed_exists(command):
    named = re.search(r"(?:langcache-cli|\.)\[([^]]+)]", command)[1].split(",")
    assert set(named) <= set(PROJECT["optional-dependencies"])


def test_the_documents_have_such_commands():
    assert min(len(LANGCACHE), len(MODULES), len(EXTRAS)) >= 5
