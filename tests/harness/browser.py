"""A real browser without a window, driven over the DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.harness.polling import eventually
from tests.harness.processes import end, spawn

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60.0
REPLY_SECONDS = 30.0
OPTIONS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


def missing() -> str:
    """Why there is no browser here; empty if there is one."""
    try:
        import websockets.sync.client  # noqa: F401
    except ImportError:
        return "websockets is not installed"
    if os.environ.get("CI") and not os.environ.get("LANGCACHE_TEST_BROWSER"):
        return "takes half a minute; in CI only with LANGCACHE_TEST_BROWSER=1"
    return "" if _program() else "no Chromium on PATH"


def _program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One tab. Everything that it has said and asked for is kept."""

    def __init__(self, socket: "ClientConnection") -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.replies: dict[str, int] = {}
        self.send("Page.enable")
        self.send("Runtime.enable")
        self.send("Log.enable")
        self.send("Network.enable")

    def send(self, method: str, **options: Any) -> dict[str, Any]:
        """Send a command and return its result, taking in events meanwhile."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": options}))
        deadline = time.monotonic() + REPLY_SECONDS
        while True:
            message = json.loads(self._socket.recv(deadline - time.monotonic()))
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled":
                self.messages.append(" ".join(str(part.get("value")) for part in about["args"]))
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.messages.append(details.get("exception", {}).get("description") or details["text"])
            case "Log.entryAdded":
                self.messages.append(about["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Network.responseReceived":
                self.replies[about["response"]["url"]] = about["response"]["status"]

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Open a page, and wait until it has drawn itself for the first time."""
        self.send("Page.navigate", url="about:blank")
        self.messages.clear()
        self.requests.clear()
        self.send("Page.navigate", url=url)
        self.until("document.body?.dataset.ready === '1'")

    def until(self, condition: str, *, within: float = START_SECONDS) -> None:
        """Wait until an expression is true."""
        eventually(lambda: self.run(condition), within=within, every=0.05)

    def size(self, width: int, height: int = 900, *, scheme: str = "light") -> None:
        """Set the window, and what the system prefers."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=preferred)

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        self._shoot(path, beyond=True)

    def first_screen(self, path: Path) -> None:
        """What the window shows, as PNG."""
        self._shoot(path, beyond=False)

    def _shoot(self, path: Path, *, beyond: bool) -> None:
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=beyond)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with one empty tab and a profile of its own; gone afterwards."""
    from websockets.sync.client import connect

    program = _program()
    assert program is not None
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="langcache-browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *OPTIONS, *sandbox, f"--user-data-dir={profile}", "about:blank"]
        process = spawn(command, log=Path(profile) / "browser.log")
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            eventually(lambda: port_file.exists() and port_file.read_text().count("\n"), within=START_SECONDS)
            port = port_file.read_text().split()[0]
            tabs = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            with connect(address, max_size=None, proxy=None, ping_interval=None) as socket:
                page = Page(socket)
                try:
                    yield page
                finally:
                    page.send("Browser.close")  # ends its other processes, too
        finally:
            end(process)
