"""Programs in a Python that turns every warning into an error and complains about what is left open."""

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.cache_support import PATIENCE_SECONDS, ROOT


def run_python(file: Path, url: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, with `url` as REDIS_URL and patience for a busy machine."""
    patience = {"LANGCACHE_OPERATION_TIMEOUT": str(PATIENCE_SECONDS)}
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": url, **patience, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def complaints(errors: str) -> list[str]:
    """What was printed, but for asyncio's remark in debug mode that a step was slow."""
    return [line for line in errors.splitlines() if not line.startswith("Executing <")]


def complaints_of_python(errors: str) -> list[str]:
    """The same without the core's own line about an event loop that was closed under it."""
    return [line for line in complaints(errors) if not line.startswith("an event loop ended without")]
