"""A web application served by real uvicorn workers, ended with the test."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.harness.polling import eventually
from tests.harness.ports import ReservedPort

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
CERTIFICATES = httpx.create_ssl_context()
"""Not used over HTTP, and slow to make: each request would make its own."""


@contextmanager
def uvicorn(app: str, *, workers: int, env: Mapping[str, str]) -> Iterator[str]:
    """The URL of `module:attribute`, which answers at `/health/cache` when it has started."""
    port = ReservedPort()
    options = ["--workers", str(workers), "--port", str(port.number), "--log-level", "error"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )
    url = f"http://127.0.0.1:{port.number}"
    try:
        eventually(lambda: _answers(url), within=START_SECONDS, every=0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)
        port.release()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/cache", timeout=5, verify=CERTIFICATES).status_code == 200
    except httpx.TransportError:
        return False
