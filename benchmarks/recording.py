"""Results as JSON by commit, with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.harness import binaries

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
LIBRARIES = (
    "redis",
    "hiredis",
    "pydantic",
    "sqlalchemy",
    "aiocache",
    "cashews",
    "fastapi-cache2",
    "dogpile.cache",
)
DIGITS = 5
"""Significant digits that are recorded: more than a repeated run has in common."""


def machine() -> dict[str, str]:
    """What it is measured on, which versions take part, and the load average: other work on the machine."""
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "load": f"{load_average():.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "redis-server": _server_version(),
        **{name: found for name in LIBRARIES if (found := _version(name))},
    }


def load_average() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def document(found: Mapping[str, Any], about: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """All of a run that is kept: plain JSON values."""
    return {
        "commit": commit(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": dict(about),
        "rounds": rounds,
        "results": _plain(found),
    }


def record(result: Mapping[str, Any]) -> Path:
    """Write a document to ``benchmarks/results/<date>-<commit>.json``, over an older one."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result['measured'][:10]}-{result['commit']}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def commit() -> str:
    """The short hash of the commit, with ``-dirty`` if tracked files differ; ``unknown`` outside git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:  # a rival that is not installed takes no part
        return None


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _server_version() -> str:
    command = [str(binaries.redis_server()), "--version"]
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return next((word.removeprefix("v=") for word in shown.split() if word.startswith("v=")), "unknown")
