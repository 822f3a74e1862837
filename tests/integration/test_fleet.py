"""One load at a time across processes, whatever becomes of the process that loads."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.harness.polling import eventually
from tests.integration.cache_support import ROOT, make_stale
from tests.integration.fleet_worker import TASKS


class Fleet:
    """Worker processes that wait for the word, then ask for one value in many tasks each."""

    def __init__(self, stack: ExitStack, folder, url: str, size: int, **settings):
        self.folder = folder
        command = [
            sys.executable,
            "-m",
            "tests.integration.fleet_worker",
            url,
            str(folder),
            json.dumps(settings),
        ]
        self.processes = [self._start(stack, command) for _ in range(size)]
        for process in self.processes:
            assert process.stdout.readline() == "ready\n"

    def _start(self, stack: ExitStack, command: list[str]) -> subprocess.Popen:
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        )
        stack.callback(process.kill)
        return process

    def ask(self, function: str = "look_up", number: int = 7) -> None:
        """All at the same time, as far as that goes."""
        for process in self.processes:
            process.stdin.write(f"{function} {number}\n")
            process.stdin.flush()

    def runs(self, number: int = 7) -> list[int]:
        """The process ids of the runs of the function, in order."""
        file = self.folder / f"runs-{number}"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def go(self, number: int = 7, *, version: int = 0) -> None:
        """Let runs of the function end."""
        new = self.folder / "new"
        new.write_text(str(version))
        new.rename(self.folder / f"go-{number}")  # whole, or not there

    def hold(self, number: int = 7) -> None:
        """Hold the next runs again, and forget the past ones."""
        (self.folder / f"go-{number}").unlink()
        (self.folder / f"runs-{number}").unlink()

    def answers(self, *, but: int | None = None) -> list:
        """What every task of every process got."""
        living = [process for process in self.processes if process.pid != but]
        return [value for process in living for value in json.loads(process.stdout.readline())]


@pytest.fixture
def fleet(redis_url, tmp_path):
    with ExitStack() as stack:
        yield lambda size, **settings: Fleet(stack, tmp_path, redis_url, size, **settings)


def value(version: int = 0) -> dict[str, int]:
    return {"number": 7, "version": version}


@pytest.mark.parametrize("size", [4, 8])
def test_processes_that_ask_for_one_key_run_the_function_once_cold_expired_or_stale(
    fleet, size, redis_server
):
    workers = fleet(size)
    for version, name in enumerate(("look_up", "look_up", "with_stale")):
        workers.ask(name)  # the second time the entry has expired
        assert eventually(workers.runs, within=30)
        workers.go(version=version)
        assert workers.answers() == [value(version)] * size * TASKS
        assert len(workers.runs()) == 1
        workers.hold()
        redis_server.command("PEXPIRE", "cache:vocabulary:look_up:7", 1)
        eventually(lambda: redis_server.command("EXISTS", "cache:vocabulary:look_up:7") == 0)
    make_stale(redis_server, "cache:episodes:with_stale:7")
    workers.ask("with_stale")
    assert workers.answers() == [value(2)] * size * TASKS  # at once, while one of them loads
    assert eventually(workers.runs, within=30)
    workers.go(version=3)
    eventually(lambda: b'"version":3' in redis_server.command("GET", "cache:episodes:with_stale:7"))
    workers.ask("with_stale")
    assert workers.answers() == [value(3)] * size * TASKS
    assert len(workers.runs()) == 1


def test_when_the_process_that_loads_is_killed_another_takes_over(fleet):
    workers = fleet(4, lease_seconds=1.0)
    workers.ask()
    leader = eventually(workers.runs, within=30)[0]
    os.kill(leader, signal.SIGKILL)
    assert len(eventually(lambda: len(workers.runs()) == 2 and workers.runs(), within=30)) == 2
    workers.go()
    assert workers.answers(but=leader) == [value()] * 3 * TASKS
    assert len(workers.runs()) == 2


def test_a_process_that_is_stopped_while_it_loads_is_not_waited_for_and_cannot_store(fleet, redis_server):
    workers = fleet(4, lease_seconds=1.0)
    workers.ask()
    leader = eventually(workers.runs, within=30)[0]
    os.kill(leader, signal.SIGSTOP)
    eventually(lambda: len(workers.runs()) == 2, within=30)
    workers.go()
    assert workers.answers(but=leader) == [value()] * 3 * TASKS
    stored = redis_server.command("GET", "cache:vocabulary:look_up:7")
    assert stored.endswith(b'{"number":7,"version":0}')
    os.kill(leader, signal.SIGCONT)
    woken = next(process for process in workers.processes if process.pid == leader)
    assert json.loads(woken.stdout.readline()) == [value()] * TASKS
    assert redis_server.command("GET", "cache:vocabulary:look_up:7") == stored
    assert len(workers.runs()) == 2


def test_a_load_that_never_ends_blocks_nobody_beyond_its_time(fleet):
    workers = fleet(2, lease_seconds=0.5, load_timeout=1.5)
    workers.ask()
    first = eventually(workers.runs, within=30)[0]
    eventually(lambda: {*workers.runs()} - {first}, within=30)
    workers.go()
    assert workers.answers() == [value()] * 2 * TASKS
