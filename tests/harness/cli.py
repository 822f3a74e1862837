"""The real command in a process of its own: with pipes as cron sees it, or on a terminal as people do."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness.schemas import require_valid

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "langcache_cli")
SECONDS = 60.0  # far more than any command needs: what takes that long hangs

# A terminal sends Ctrl-C to those it controls only, and a process must ask for that itself.
_ON_TERMINAL = """import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])"""

Environment = Mapping[str, str | None]


@dataclass(frozen=True)
class Run:
    """How a command ended and what it printed. On a terminal `stdout` holds both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout, as its schema says; fails if there is anything else."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        require_valid(found)
        return found


def run_cli(*args: str, env: Environment | None = None, stdin: str = "", cwd: Path | None = None) -> Run:
    """Run `langcache args...` to its end. `env` adds to this process' environment; None takes away."""
    return finish(start_cli(*args, env=env, cwd=cwd), stdin)


def run_together(*calls: tuple[str, ...], env: Environment | None = None) -> list[Run]:
    """Run several at the same time, for what may be: half of the time of each is spent on starting."""
    return [finish(process) for process in [start_cli(*args, env=env) for args in calls]]


def start_cli(
    *args: str, env: Environment | None = None, cwd: Path | None = None, command: tuple[str, ...] = COMMAND
) -> "subprocess.Popen[str]":
    """Start it with pipes; `finish` it. A session of its own, so that a test can signal it alone."""
    return subprocess.Popen(
        [*command, *args],
        env=cli_environment(env),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]", stdin: str = "") -> Run:
    """Wait for the end; killed when it does not come."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"{process.args} hangs; it printed {stdout!r} and {stderr!r}") from None
    return Run(process.returncode, stdout, stderr)


def cli_environment(env: Environment | None = None) -> dict[str, str]:
    """This process' environment without what changes how output looks, and with `env`."""
    looks = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM", "PYTHONWARNINGS"}
    inherited = {name: value for name, value in os.environ.items() if name not in looks}
    changes = {"PYTHONPATH": str(ROOT), **(env or {})}
    return {name: value for name, value in {**inherited, **changes}.items() if value is not None}


class Terminal:
    """The command on a terminal of a given width, whose keyboard is the test."""

    def __init__(self, *args: str, env: Environment | None = None, columns: int = 80) -> None:
        self._keyboard, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ON_TERMINAL, *COMMAND, *args],
            env=cli_environment({"TERM": "xterm-256color", **(env or {})}),
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)
        self._shown = b""

    @property
    def shown(self) -> str:
        """All that was printed so far, escape sequences included."""
        return self._shown.decode("utf-8", "replace")

    def press(self, text: str) -> None:
        """Press keys; `\\x03` is Ctrl-C, `\\x04` is Ctrl-D."""
        os.write(self._keyboard, text.encode())

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command."""
        self._process.send_signal(number)

    @property
    def is_as_before(self) -> bool:
        """True if the terminal shows what is typed, and gives it by line."""
        modes: int = termios.tcgetattr(self._keyboard)[3]
        return modes & termios.ECHO != 0 and modes & termios.ICANON != 0

    def expect(self, text: str) -> None:
        """Read until `text` is on the screen."""
        self._read_until(lambda: text in self.shown, f"never showed {text!r}")
        assert text in self.shown

    def finish(self) -> Run:
        """Read to the end."""
        self._read_until(lambda: False, "hangs")
        return Run(self._process.wait(SECONDS), self.shown.replace("\r\n", "\n"), "")

    def _read_until(self, condition: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            ready, _, _ = select.select([self._keyboard], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{self._process.args} {problem}; it printed {self.shown!r}"
            try:
                self._shown += os.read(self._keyboard, 65536)
            except OSError:  # how Linux says that nobody holds the other end any more
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        os.close(self._keyboard)
