"""Why a value is not stored, or an entry not decoded: in words, and without the values themselves."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from langcache_cli.caching._errors import CacheError, UncacheableValueError, UndecodableEntryError
from langcache_cli.caching._values.difference import difference
from langcache_cli.caching._values.large.weight import HEAVY, weight
from langcache_cli.caching._values.rejected_types import IteratorError

_INPUT = re.compile(r",? ?input_value=.*?(?=, input_type=|\]|$)|with value `.*?`", re.DOTALL)
_NO_MEMBER = "is not a member of the union"


def uncacheable(error: BaseException) -> UncacheableValueError:
    """The error for a value whose encoding or decoding has raised."""
    if isinstance(error, UndecodableEntryError) and error.__cause__ is not None:
        error = error.__cause__
    return UncacheableValueError(_without_values(error), details=_reason(error))


def summary(error: Exception) -> str:
    """The reason, without the errors of all items and what they are: that may be gigabytes."""
    if isinstance(error, ValidationError):
        return f"{error.error_count()} validation errors for {error.title}"
    return _reason(error)


def differs(value: Any, restored: Any, path: str, first: int) -> UncacheableValueError:
    """The error for a value that does not come back the same; see `difference`."""
    return UncacheableValueError(
        difference(value, restored, path=path, first=first),
        details=f"it would come back as {_shortened_repr(restored)}, not as {_shortened_repr(value)}",
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it contains itself, or is nested too deeply"
    if any(text in str(error) for text in ("invalid utf-8", "incomplete utf-8")):
        return (
            "it contains bytes that are not UTF-8, in a class with JSON settings of its own; "
            "give that class model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
        )
    return " ".join(str(error).split())[:300] or type(error).__name__


def _without_values(error: BaseException) -> str:
    """The reason without anything of a value, as far as it is known which part of the text that is."""
    reason = _reason(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        return f"at {'.'.join(map(str, first['loc'])) or 'the top'}: {first['type']}"
    if _is_ours(error, reason):
        return _INPUT.sub("", reason)
    return f"encoding it raised {type(error).__name__}"


def _is_ours(error: BaseException, reason: str) -> bool:
    """True for messages of this package and of pydantic, which say what they show."""
    if isinstance(error, PydanticSerializationError):
        return "Error calling function" not in reason or _NO_MEMBER in reason
    return isinstance(error, (CacheError, RecursionError, IteratorError)) or reason.startswith(
        "it contains bytes"
    )


def _shortened_repr(value: Any) -> str:
    kind = f"a {type(value).__qualname__}"
    try:
        return f"{value!r:.200}" if weight((value,)) <= HEAVY else f"{kind} of many parts"
    except Exception:  # noqa: BLE001 - a failing __repr__ must not fail the call
        return kind
