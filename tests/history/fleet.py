"""The workers of a run, as processes that can be stopped, killed and replaced."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.history.options import Options
from tests.integration.cache_support import ROOT

END_SECONDS = 30.0


class WorkerProcess:
    """One worker."""

    def __init__(self, options: Options) -> None:
        self.options = options
        command = [sys.executable, "-m", "tests.history.worker", json.dumps(dataclasses.asdict(options))]
        self._errors = Path(options.journal).with_suffix(".errors")
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )

    def read_all(self) -> None:
        """Have it read everything once, now."""
        self._write("read")

    def set_clock(self, milliseconds: int) -> None:
        """Set its time of day off."""
        self._write(f"clock {milliseconds}")

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """At once, in the middle of anything."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """In good order.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        if self.process.returncode != 0:
            raise RuntimeError(f"a worker ended with {self.process.returncode}; {self._said()}")
        self.require_silent()

    def require_silent(self) -> None:
        """Asyncio complains about exceptions that nobody retrieved, and the like.

        Raises:
            RuntimeError: It did.
        """
        if any(word in self._said() for word in ("Traceback", "never retrieved", "was destroyed")):
            raise RuntimeError(self._said())

    def _said(self) -> str:
        return f"a worker said: {self._errors.read_text()[-4000:]}"


class Fleet:
    """Some workers, one for each of the given Redis URLs."""

    def __init__(self, options: list[Options], folder: Path) -> None:
        self._folder = folder
        self.journals: list[Path] = []
        """Of all processes there have been."""
        self._numbers: dict[int, int] = {}
        """By place: the number of the process that works there, which is its place in ``journals``."""
        self._workers = [self._start(place, one) for place, one in enumerate(options)]

    def __len__(self) -> int:
        return len(self._workers)

    def __getitem__(self, index: int) -> WorkerProcess:
        return self._workers[index]

    def number(self, index: int) -> int:
        """The number of a worker's process, as in a `History`."""
        return self._numbers[index]

    @property
    def behind_proxy(self) -> list[int]:
        """The numbers of the processes that reach Redis through a proxy."""
        return [
            self._numbers[index] for index, worker in enumerate(self._workers) if worker.options.behind_proxy
        ]

    def wake_idle(self) -> None:
        """Have the idle workers read everything once, now."""
        for worker in self._workers:
            if worker.options.idle:
                worker.read_all()

    def replace(self, index: int) -> None:
        """Kill a worker and start another one like it."""
        worker = self._workers[index]
        worker.kill()
        worker.require_silent()
        self._workers[index] = self._start(index, worker.options)

    def end(self) -> None:
        """End all of them in good order."""
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()

    def _start(self, index: int, options: Options) -> WorkerProcess:
        number = self._numbers[index] = len(self.journals)
        journal = self._folder / f"process-{number}.journal"
        self.journals.append(journal)
        return WorkerProcess(
            dataclasses.replace(options, journal=str(journal), seed=options.seed + 1000 * number)
        )
