"""Nothing outlives a test run and nothing of the developer's gets in, proved on whole runs of pytest."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.harness.polling import eventually

ROOT = Path(__file__).parents[2]
END_SECONDS = 30.0  # an orphaned xdist worker takes 5 to notice

STARTS_SERVERS_AND_HANGS = """
import json, os, pathlib, signal

def test_hang(one_server, own_redis, postgres_server):
    own = own_redis()
    own.pause()
    servers = {str(server.directory): server.pid for server in (one_server, own, postgres_server)}
    path = pathlib.Path(os.environ["LANGCACHE_TEST_REPORT"])
    path.with_suffix(".new").write_text(json.dumps(servers))
    path.with_suffix(".new").rename(path)
    signal.pause()
"""

FORGETS_A_CHILD = """
import subprocess

kept = []

def test_forget():
    kept.append(subprocess.Popen(["sleep", "611"]))
"""

FORGETS_A_DAEMON = """
import subprocess

def test_forget():
    subprocess.run(["sh", "-c", "sleep 612 >/dev/null 2>&1 &"], check=True)
"""

LOOKS_AROUND = """
import os, pathlib

def test_look():
    names = [name for name in os.environ if not name.startswith("LANGCACHE_TEST_")]
    ours = [name for name in names if "REDIS" in name or "LANGCACHE" in name or "DATABASE" in name]
    assert ours == ["LANGCACHE_STATE_DIR"]
    assert not pathlib.Path(os.environ["LANGCACHE_STATE_DIR"]).exists()
    assert not pathlib.Path(".env").exists()
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_pytest_that_is_killed_leaves_no_server_running(tmp_path, options):
    report = tmp_path / "servers.json"
    settings = {"LANGCACHE_TEST_REPORT": str(report)}
    run = _start_pytest(tmp_path, STARTS_SERVERS_AND_HANGS, *options, settings=settings)
    try:
        eventually(lambda: report.exists() or run.poll() is not None, within=60.0)
        started = json.loads(report.read_text())
        servers = [psutil.Process(pid) for pid in started.values()]
        servers += [child for server in servers for child in server.children(recursive=True)]
        assert len(servers) > 3
        assert all(_is_alive(server) for server in servers)
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    eventually(lambda: not any(_is_alive(server) for server in servers), within=END_SECONDS)
    for folder in started:  # SIGKILL leaves them behind; an orphaned xdist worker removes its own
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("test", "culprit", "options"),
    [(FORGETS_A_CHILD, "sleep 611", ()), (FORGETS_A_DAEMON, "sleep 612", ("-n", "2"))],
    ids=["child", "daemon of an xdist worker"],
)
def test_a_run_that_leaves_a_process_fails_and_names_it(tmp_path, test, culprit, options):
    run = _start_pytest(tmp_path, test, *options)
    output, _ = run.communicate(timeout=60.0)
    assert "1 passed" in output
    assert culprit in output
    assert run.returncode == pytest.ExitCode.TESTS_FAILED


def test_no_setting_of_the_developer_reaches_a_test(tmp_path):
    (tmp_path / ".env").write_text("REDIS_URL=redis://production\n")
    settings = {"REDIS_URL": "x", "LANGCACHE_ENV": "prod", "DATABASE_URL": "x", "LANGPLUG_DATABASE_URL": "x"}
    run = _start_pytest(tmp_path, LOOKS_AROUND, settings=settings)
    output, _ = run.communicate(timeout=60.0)
    assert run.returncode == pytest.ExitCode.OK, output


def _start_pytest(
    folder: Path, test: str, *options: str, settings: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    """pytest in `folder` on one generated test, with this project's configuration and fixtures."""
    (folder / "test_generated.py").write_text(test)
    search_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    configuration = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "tests.conftest")
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *configuration, *options, "test_generated.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": search_path} | (settings or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _is_alive(process: psutil.Process) -> bool:
    """A zombie is not: in a container there may be nobody to reap an orphan."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
