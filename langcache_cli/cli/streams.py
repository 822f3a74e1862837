"""The standard streams of a process that was started without some of them, or whose output is not its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_MODES = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Connect standard streams that were closed before the start to the null device.

    Otherwise they are None in Python, and the next file that is opened takes their place.
    """
    for descriptor, (name, mode) in enumerate(_MODES):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def drop_output(descriptor: int) -> None:
    """Connect a descriptor to the null device: what is left in buffers is written at exit, and would fail."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


@contextlib.contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """Send to stderr what other code prints, its libraries and child processes included."""
    sys.stdout.flush()
    try:
        descriptor, stderr = sys.stdout.fileno(), sys.stderr.fileno()
        kept = os.dup(descriptor)
        os.dup2(stderr, descriptor)
    except (OSError, ValueError):  # streams without a descriptor, as in some tests of applications
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    try:
        with contextlib.redirect_stdout(sys.stderr):  # keeps the order of what is printed
            yield
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(kept, descriptor)
        os.close(kept)
