"""Whether a function can see the value of one of its parameters."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

_SEE_ALL = frozenset({"locals", "vars", "eval", "exec", "dir", "currentframe", "_getframe"})


def uses(function: Callable[..., Any], name: str) -> bool:
    """True if a function, or a decorator around it, may read a parameter.

    One that takes ``*args`` or ``**kwargs`` sees every parameter that it does not name.
    """
    layer: Any = function
    while layer is not None:
        code = getattr(layer, "__code__", None)
        if code is None or _reads(code, name) or _takes_in_passing(code, name):
            return True
        layer = getattr(layer, "__wrapped__", None)
    return False


def _takes_in_passing(code: CodeType, name: str) -> bool:
    takes_all = code.co_flags & (inspect.CO_VARKEYWORDS | inspect.CO_VARARGS)
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return bool(takes_all) and name not in named


def _reads(code: CodeType, name: str) -> bool:
    if name in code.co_cellvars or _SEE_ALL & {*code.co_names}:
        return True
    return any(
        name == item.argval or (isinstance(item.argval, tuple) and name in item.argval)
        for item in dis.get_instructions(code)
        if "FAST" in item.opname
    )
