"""``--log-format json``: each line on stderr is one JSON object, for collectors of logs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging

OPTION = "--log-format"
ERROR, WARNING = "langcache: ", "warning: "
"""Begin lines of the command."""


class LogFormat(StrEnum):
    """How lines on stderr are written."""

    TEXT = "text"
    JSON = "json"


_chosen = LogFormat.TEXT


def choose_log_format(arguments: Sequence[str]) -> None:
    """Take the format from a command line before it is parsed: what is wrong with it is said so, too."""
    global _chosen  # noqa: PLW0603 - one stderr, one format
    joined = f"{OPTION}={LogFormat.JSON.value}"
    is_json = joined in arguments or (OPTION, LogFormat.JSON.value) in pairwise(arguments)
    _chosen = LogFormat.JSON if is_json else LogFormat.TEXT


def lines_are_json() -> bool:
    """True if nothing but JSON may be written to stderr."""
    return _chosen is LogFormat.JSON


def stderr_line(text: str, *, level: str = "info") -> str:
    """A line of the command as stderr gets it."""
    if _chosen is LogFormat.TEXT:
        return text
    for start, name in ((ERROR, "error"), (WARNING, "warning")):
        if text.startswith(start):
            level, text = name, text.removeprefix(start)
    return _object(datetime.now(UTC), level, "langcache", text)


def traceback_text(error: BaseException) -> str:
    """The traceback of an error as stderr gets it."""
    import traceback  # noqa: PLC0415 - as above

    text = "".join(traceback.format_exception(error)).rstrip("\n")
    if _chosen is LogFormat.TEXT:
        return text
    return _object(datetime.now(UTC), "error", "langcache", f"{type(error).__name__}", traceback=text)


def configure_logging(*, shown: bool) -> None:
    """Send the log lines of libraries to stderr.

    Args:
        shown: Otherwise they are dropped, unless their format was asked for: errors are explained in one line
            of their own.
    """
    import logging  # noqa: PLC0415 - see `running`

    handler: logging.Handler = logging.NullHandler()
    if shown or _chosen is LogFormat.JSON:
        handler = logging.StreamHandler()
    if _chosen is LogFormat.JSON:
        handler.setFormatter(_formatter())
        logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[handler])


def _formatter() -> logging.Formatter:
    import logging  # noqa: PLC0415 - as above

    class Objects(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            at = datetime.fromtimestamp(record.created, UTC)
            found = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
            return _object(at, record.levelname.lower(), record.name, record.getMessage(), **found)

    return Objects()


def _object(at: datetime, level: str, logger: str, message: str, **more: Any) -> str:
    import json  # noqa: PLC0415 - as above

    fields = {"time": at.isoformat(timespec="milliseconds"), "level": level, "logger": logger}
    return json.dumps({**fields, "message": message, **more}, ensure_ascii=not _is_utf8())


def _is_utf8() -> bool:
    return (getattr(sys.stderr, "encoding", None) or "").lower().replace("-", "") == "utf8"
