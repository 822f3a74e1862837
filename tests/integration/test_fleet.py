"""One load at a time across processes, whatever becomes of the process that loads."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.harness.polling import eventually
from tests.integration.cache_support import ROOT
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

    def ask(self) -> None:
        """All at the same time, as far as that goes."""
        for process in self.processes:
            process.stdin.write("now\n")
            process.stdin.flush()

    def runs(self) -> list[int]:
        """The process ids of the runs of the function, in order."""
        file = self.folder / "runs"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def go(self) -> None:
        """Let runs of the function end."""
        (self.folder / "go").touch()

    def answers(self, *, but: int | None = None) -> list:
        """What every task of every process got."""
        living = [process for process in self.processes if process.pid != but]
        return [value for process in living for value in json.loads(process.stdout.readline())]


@pytest.fixture
def fleet(redis_url, tmp_path):
    with ExitStack() as stack:
        yield lambda size, **settings: Fleet(stack, tmp_path, redis_url, size, **settings)


@pytest.mark.parametrize("size", [4, 16])
def test_processes_that_ask_for_one_cold_key_run_the_function_once(fleet, size):
    workers = fleet(size)
    workers.ask()
    eventually(workers.runs, within=30)
    workers.go()
    assert workers.answers() == [{"number": 7}] * size * TASKS
    assert len(workers.runs()) == 1


def test_when_the_process_that_loads_is_killed_another_takes_over(fleet):
    workers = fleet(4, lease_seconds=1.0)
    workers.ask()
    leader = eventually(workers.runs, within=30)[0]
    os.kill(leader, signal.SIGKILL)
    assert len(eventually(lambda: len(workers.runs()) == 2 and workers.runs(), within=30)) == 2
    workers.go()
    assert workers.answers(but=leader) == [{"number": 7}] * 3 * TASKS
    assert len(workers.runs()) == 2


def test_a_process_that_is_stopped_while_it_loads_is_not_waited_for_and_cannot_store(fleet, redis_server):
    workers = fleet(4, lease_seconds=1.0)
    workers.ask()
    leader = eventually(workers.runs, within=30)[0]
    os.kill(leader, signal.SIGSTOP)
    eventually(lambda: len(workers.runs()) == 2, within=30)
    workers.go()
    assert workers.answers(but=leader) == [{"number": 7}] * 3 * TASKS
    stored = redis_server.command("GET", "cache:vocabulary:look_up:7")
    assert stored.endswith(b'{"number":7}')
    os.kill(leader, signal.SIGCONT)
    woken = next(process for process in workers.processes if process.pid == leader)
    assert json.loads(woken.stdout.readline()) == [{"number": 7}] * TASKS
    assert redis_server.command("GET", "cache:vocabulary:look_up:7") == stored
    assert len(workers.runs()) == 2


def test_a_load_that_never_ends_blocks_nobody_beyond_its_time(fleet):
    workers = fleet(2, lease_seconds=0.5, load_timeout=1.5)
    workers.ask()
    first = eventually(workers.runs, within=30)[0]
    eventually(lambda: {*workers.runs()} - {first}, within=30)
    workers.go()
    assert workers.answers() == [{"number": 7}] * 2 * TASKS
