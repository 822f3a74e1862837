"""Single keys from a terminal, which is as it was before on every way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator

READ_BYTES = 64


class Keyboard:
    """The terminal that stdin is, while it gives each key at once and shows none."""

    def __init__(self, on_key: Callable[[str], object], on_return: Callable[[], object]) -> None:
        """Prepare.

        Args:
            on_key: Called with each key.
            on_return: Called when the process goes on after Ctrl-Z, before which `left` was entered.
        """
        self._on_key = on_key
        self._on_return = on_return
        self._descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._descriptor)

    @contextlib.contextmanager
    def open(self, leave: Callable[[], object]) -> Iterator[None]:
        """Inside, keys arrive; ``leave`` gives the screen back before Ctrl-Z stops the process."""
        loop = asyncio.get_running_loop()

        def suspend() -> None:
            leave()
            self._restore()
            os.kill(os.getpid(), signal.SIGSTOP)
            tty.setcbreak(self._descriptor)  # here the process goes on
            self._on_return()

        tty.setcbreak(self._descriptor)
        loop.add_reader(self._descriptor, self._read)
        loop.add_signal_handler(signal.SIGTSTP, suspend)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
            loop.remove_reader(self._descriptor)
            self._restore()

    def _read(self) -> None:
        for key in os.read(self._descriptor, READ_BYTES).decode("utf-8", "replace"):
            self._on_key(key)

    def _restore(self) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
