"""The report of ``langcache bench``: one HTML file that needs nothing else and asks nobody."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from langcache_cli.operations.bench.baseline import DATA_BEGINS, DATA_ENDS, SCHEMA

DRAWN_WITH = ("web", "static")
"""The dashboard's files, below the package: the report is drawn with the same."""

OWN = ("operations", "bench")
"""The files of the report."""

IMPORT = 'from "./charts.js";'
"""Ends the import of ``page.js``, in whose place a report has ``charts.js`` itself."""

POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing is loaded and nothing runs but the script of the page; the browser sees to it."""


def page_of(document: Mapping[str, Any]) -> str:
    """The HTML file that shows the document of a run.

    Args:
        document: As `document.document_of` makes it, with ``target`` and ``command_line``.
    """
    script = _file(*DRAWN_WITH, "charts.js") + _file(*OWN, "page.js").split(IMPORT, 1)[1]
    style = re.sub(r"\n\s+", "\n", _file(*DRAWN_WITH, "dashboard.css") + _file(*OWN, "page.css"))
    data = json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, separators=(",", ":"), default=str)
    parts = {
        "POLICY": POLICY.format(script=_hash(script), style=_hash(style)),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": DATA_BEGINS + _harmless(data) + DATA_ENDS,
    }
    return re.sub("@([A-Z]+)@", lambda place: parts[place[1]], _file(*OWN, "page.html"))


def _harmless(data: str) -> str:
    """JSON that ends no script, and has lone surrogates (names of files that are no UTF-8) as escapes."""
    return data.replace("<", "\\u003c").encode("utf-8", "backslashreplace").decode()


def _file(*path: str) -> str:
    return files("langcache_cli").joinpath(*path).read_text("utf-8")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
