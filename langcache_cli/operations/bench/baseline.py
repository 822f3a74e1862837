"""Read the document of an earlier run: from a JSON file, or out of a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = "langcache.bench/1"
DATA_BEGINS = '<script type="application/json" id="data">'
"""Where the document of a report begins; no other line of it has this text."""

DATA_ENDS = "</script>"


class BaselineError(Exception):
    """The file is no baseline."""


class OtherLoadError(Exception):
    """The baseline was measured under another load."""


def read_document(path: Path) -> dict[str, Any]:
    """The document in a file that ``bench --out``, ``--json`` or ``--report`` has written.

    Without what was compared with, and without its course over time: reports would grow from one to the next.

    Raises:
        BaselineError: The file holds something else, or was written by a version without turns.
        OSError: The file cannot be read.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise BaselineError(f"{path} is no result of 'langcache bench'") from None
    if DATA_BEGINS in text:
        text = text.split(DATA_BEGINS, 1)[1].split(DATA_ENDS, 1)[0]
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BaselineError(f"{path} is no result of 'langcache bench': give a file of --out or --report")
    try:
        for item in document["paths"].values():
            [float(value or 0) for value in item["turns"]["p50_ms"]]
            item.pop("slices", None)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BaselineError(f"{path} has no turns: an earlier version of langcache wrote it") from None
    document.pop("comparison", None)
    return document


def require_load(document: Mapping[str, Any], *, rate: float | None, concurrency: int) -> None:
    """Refuse to compare latencies that were measured under another load.

    Args:
        document: Of the earlier run.
        rate: That of the run to compare with it.
        concurrency: The same.

    Raises:
        OtherLoadError: The load of the two runs differs.
    """
    then_rate, then_workers = document.get("rate_per_second"), document.get("concurrency")
    if then_rate != rate:
        asked = "without --rate" if then_rate is None else f"with --rate {then_rate:g}"
        raise OtherLoadError(f"it was measured {asked}; latencies under another load cannot be compared")
    if then_workers != concurrency:
        asked = f"with --concurrency {then_workers}"
        raise OtherLoadError(f"it was measured {asked}; latencies under another load cannot be compared")
