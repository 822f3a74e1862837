"""Keys in bash: it splits words at ``:`` and ``=``, and takes what stands behind the last of them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

VARIABLE = "_LANGCACHE_COMPLETE"
"""Set by the shell that asks what to offer."""

WORDS, CURSOR = "COMP_WORDS", "COMP_CWORD"
BREAKS = ":="


def is_completing() -> bool:
    """True if this process was started by a Tab."""
    return os.environ.get(VARIABLE, "").startswith("complete_")


def complete(offer: Callable[[], object]) -> int:
    """Print what ``offer`` prints, as the shell takes it; never fails, and says nothing of errors."""
    is_bash = os.environ.get(VARIABLE) == "complete_bash"
    shown = io.StringIO()
    with contextlib.suppress(Exception, SystemExit), _silent(), contextlib.redirect_stdout(shown):
        before = _join_words() if is_bash else ""
        with _cut(shown, before):
            offer()
    with contextlib.suppress(OSError):
        sys.stdout.write(shown.getvalue())
        sys.stdout.flush()
    return 0


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, contextlib.redirect_stderr(nothing):
        yield


@contextlib.contextmanager
def _cut(shown: io.StringIO, before: str) -> Iterator[None]:
    """Take away from each line what bash leaves in place."""
    try:
        yield
    finally:
        text = "".join(f"{line.removeprefix(before)}\n" for line in shown.getvalue().splitlines() if line)
        shown.seek(0)
        shown.truncate()
        shown.write(text)


def _join_words() -> str:
    """Put words together again that bash has split; returns what of the last value it leaves in place."""
    words = os.environ.get(WORDS, "").split("\n")
    cursor = int(os.environ.get(CURSOR, "0"))
    if not 0 <= cursor < len(words):  # an older script, which joins words with spaces
        return ""
    joined: list[str] = []
    glued = False
    for word in words[: cursor + 1]:
        is_break = bool(word) and not word.strip(BREAKS)
        if joined and (is_break or glued):
            joined[-1] += word
        else:
            joined.append(word)
        glued = is_break
    os.environ[WORDS], os.environ[CURSOR] = "\n".join(joined), str(len(joined) - 1)
    typed = joined[-1]
    value = typed.partition("=")[2] if typed.startswith("-") else typed
    was_split = words[cursor] != typed
    return value[: value.rfind(":") + 1] if was_split else ""
