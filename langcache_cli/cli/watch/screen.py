"""The loop of the live view: collect, draw, and listen to keys meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from rich.console import Console, Group
from rich.live import Live

from langcache_cli.cli.watch.frame import Look, View, frame
from langcache_cli.cli.watch.keyboard import Keyboard
from langcache_cli.operations.overview.collecting import WINDOWS
from langcache_cli.operations.overview.document import Overview
from langcache_cli.operations.overview.source import OverviewSource


class Watch:
    """A live view on one terminal."""

    def __init__(
        self, source: OverviewSource, console: Console, *, window: str, interval: float, unicode: bool
    ) -> None:
        """Prepare.

        Args:
            source: Where the numbers come from.
            console: The terminal.
            window: The first window to show.
            interval: Seconds from an answer to the next question.
            unicode: False where only ASCII can be shown.
        """
        self._source = source
        self._console = console
        self._interval = interval
        self._unicode = unicode
        self._window = window
        self._view: View = "types"
        self._paused = False
        self._news = asyncio.Event()
        self._asked = asyncio.Event()
        self._ended = False
        self._latest: Overview | None = None
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self.known: Overview | None = None
        """The latest overview with numbers."""

    async def run(self) -> None:
        """Show it until ``q``."""
        keyboard = Keyboard(self._press, self._come_back)
        collecting = asyncio.create_task(self._collect())
        try:
            with keyboard.open(self._live.stop), self._resizing():
                self._live.start()
                while not self._ended:
                    self._news.clear()
                    self._draw()
                    await self._news.wait()
        finally:
            self._live.stop()
            collecting.cancel()
            await asyncio.wait([collecting])

    async def _collect(self) -> None:
        while True:
            if not self._paused:
                window = self._window
                overview = await self._source.collect(window)
                if window != self._window:
                    continue
                self._latest = overview
                if "total" in overview:
                    self.known = overview
                self._news.set()
            waiting = asyncio.create_task(self._asked.wait())
            await asyncio.wait([waiting], timeout=self._interval)
            waiting.cancel()
            self._asked.clear()

    def _draw(self) -> None:
        if self._latest is None:
            return
        known = self.known if self.known is not None and self.known["window"] == self._window else None
        size = self._console.size
        look = Look(size.width, size.height, self._unicode, self._view, self._paused)
        self._live.update(Group(*frame(self._latest, known, look)), refresh=True)

    def _press(self, key: str) -> None:
        views: dict[str, View] = {"f": "functions", "k": "keys", "?": "help"}
        if key == "q":
            self._ended = True
        elif key == "w":
            names = list(WINDOWS)
            self._window = names[(names.index(self._window) + 1) % len(names)]
            self._asked.set()
        elif key == " ":
            self._paused = not self._paused
            self._asked.set()
        elif key in views:
            self._view = "types" if self._view == views[key] else views[key]
        self._news.set()

    def _come_back(self) -> None:
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._live.start()
        self._asked.set()
        self._news.set()

    @contextlib.contextmanager
    def _resizing(self) -> Iterator[None]:
        """Inside, a change of the terminal's size draws at once."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._news.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
