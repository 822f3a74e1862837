"""One failure for all who waited for a load: each call raises an exception object of its own.

Between processes an error travels as the name of its class and its plain arguments. It is passed on only if
what arrives equals the original; otherwise those who wait run the function themselves.
"""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any

MAX_BYTES = 4096
"""Upper bound for an error that is passed on."""


def own_copy(error: Exception, traceback: TracebackType | None) -> Exception:
    """A copy of an error for one caller, or the error itself if it cannot be copied.

    Args:
        error: The error.
        traceback: Its traceback at the end of the load: a shared one would grow with every caller.
    """
    copy = _rebuilt(type(error), error.args, vars(error))
    if copy is None or not _same(copy, error):
        return error.with_traceback(traceback)
    copy.__cause__, copy.__context__ = error.__cause__, error.__context__
    copy.__suppress_context__ = error.__suppress_context__
    return copy.with_traceback(traceback)


def describe(error: Exception) -> bytes:
    """An error for another process; empty if it would not arrive as it is."""
    kind, state = type(error), vars(error)
    values = (*error.args, *state.values())
    if not all(value is None or type(value) in (str, int, float, bool) for value in values):
        return b""
    described = json.dumps([kind.__module__, kind.__qualname__, error.args, state]).encode("ascii")
    if len(described) > MAX_BYTES:
        return b""
    arrived = _read(described)
    return described if arrived is not None and _same(arrived, error) else b""


def described(text: bytes) -> Exception | None:
    """The error that `describe` wrote; None if this process does not know its class."""
    error = _read(text) if 0 < len(text) <= MAX_BYTES else None
    if error is not None:
        error.add_note("raised by a load in another process, for which this call had waited")
    return error


def _read(text: bytes) -> Exception | None:
    try:
        module, name, args, state = json.loads(text)
        found: Any = sys.modules[module]  # only what was imported here: nothing is imported for an error
        for part in name.split("."):
            found = vars(found)[part]  # no getattr: a module may import or run something for it
    except Exception:  # noqa: BLE001 - whatever is wrong with it, there is no error to raise
        return None
    if not (isinstance(found, type) and issubclass(found, Exception)):
        return None
    if not (isinstance(args, list) and isinstance(state, dict)) or any(name[:2] == "__" for name in state):
        return None
    return _rebuilt(found, tuple(args), state)


def _rebuilt(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception | None:
    """An error with these arguments and attributes. ``__init__`` is not run: its arguments are unknown."""
    try:
        error = kind.__new__(kind, *args)
        error.args = args
        vars(error).update(state)
    except Exception:  # noqa: BLE001 - an application's class may do anything
        return None
    return error if type(error) is kind else None


def _same(one: Exception, other: Exception) -> bool:
    try:
        pairs = [(type(error), error.args, vars(error), str(error)) for error in (one, other)]
        return bool(pairs[0] == pairs[1])
    except Exception:  # noqa: BLE001 - an application's class may do anything
        return False
