"""Importing the core is cheap and does nothing."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import langcache_cli.caching

ROOT = Path(langcache_cli.__file__).parent.parent
HEAVY = {
    *("typer", "click", "rich", "sqlalchemy", "fastapi", "starlette", "asyncpg", "aiosqlite", "psutil"),
    *("redis", "uvloop", "langcache_cli.vocabulary", "langcache_cli.servers", "langcache_cli.operations"),
    *("langcache_cli.cli",),
}

WATCHED_IMPORT = """
import sys
seen = []

def watch(event, args):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.putenv"):
        seen.append(event)
    if event == "open" and str(args[0]).endswith(".env"):
        seen.append(str(args[0]))

sys.addaudithook(watch)
import os
before = dict(os.environ)

class Watched(dict):
    def read(self, name):
        if name.startswith(("REDIS", "LANGCACHE", "DATABASE", "LANGPLUG")):
            seen.append(name)
        return name
    def __getitem__(self, name): return super().__getitem__(self.read(name))
    def get(self, name, default=None): return super().get(self.read(name), default)
    def __contains__(self, name): return super().__contains__(self.read(name))

os.environ = Watched(before)
import langcache_cli.caching
import threading
assert threading.active_count() == 1
print(sorted(seen))
print(sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def imported() -> tuple[list[str], set[str]]:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCHED_IMPORT],
        cwd=ROOT,
        env=os.environ | {"REDIS_URL": "nonsense", "LANGCACHE_NAMESPACE": "::"},
        capture_output=True,
        check=True,
        text=True,
    )
    seen, modules = run.stdout.splitlines()
    return eval(seen), set(eval(modules))


def test_it_loads_nothing_heavy(imported):
    assert "langcache_cli.caching" in imported[1]
    assert not HEAVY & imported[1]


def test_it_opens_no_socket_and_reads_no_setting(imported):
    assert imported[0] == []


def test_everything_public_is_documented():
    undocumented = [
        name
        for name in langcache_cli.caching.__all__
        if not getattr(langcache_cli.caching, name).__doc__ and name != "MISSING"
    ]
    assert undocumented == []


def test_every_module_of_the_core_is_in_a_private_room():
    package = Path(langcache_cli.caching.__file__).parent
    modules = sorted(path.relative_to(package).with_suffix("") for path in package.rglob("*.py"))
    assert len(modules) > 70
    public = {path.parts[0] for path in modules if not path.parts[0].startswith("_")}
    assert public == {"sync", "testing", "tooling"}
    for path in modules:
        importlib.import_module(".".join(("langcache_cli.caching", *path.parts)))
