"""Arguments as text: two different arguments never read the same.

Plain words and numbers stay as typed. Every other kind of value gets a form that no string can
take: strings that would look like one are quoted, and whatever could act as a separator, a glob
or a control character is percent-escaped. The rules depend on nothing that differs between
Python versions, because processes of different versions share one cache.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from pathlib import PurePath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

# ':' separates arguments, the rest of the first row is special in Redis patterns, braces choose a
# cluster slot, '%' escapes; then control characters, surrogates, and what is invisible or reorders text.
_UNSAFE = re.compile(
    "[:*?\\[\\]\\\\^{}%\x00-\x1f\x7f-\x9f\ud800-\udfff"
    "\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_PLAIN = re.compile(r"(?!(?:None|True|False|inf|nan)\Z)[^\W\d_][\w ,.!-]*").fullmatch
"""Most words: they stay as they are. The rules below give the same, and take longer."""

_NUMBER_LIKE = re.compile(r"[-+]?[0-9][0-9.eE+-]*", re.ASCII)
_RESERVED = frozenset({"", "None", "True", "False", "inf", "-inf", "nan"})
_INNER_UNSAFE = re.compile("['(),=]")
_LONG_INT_BITS = 1024
"""Python refuses to write longer ints in decimal, from a length on that differs between processes."""


def argument_text(value: object) -> str:
    """The text of one argument inside a key; in a pattern it matches nothing but itself.

    Raises:
        TypeError: The value has no stable form (an object with a default ``repr``, an open file,
            a set of mixed types, something that contains itself, a dataclass with an unset field).
    """
    if type(value) is str and _PLAIN(value):
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        return _string(str.__str__(value))
    try:
        return _structured(value)
    except RecursionError:
        raise TypeError(f"a {type(value).__name__} that contains itself has no stable form") from None
    except AttributeError as error:
        raise TypeError(f"a {type(value).__name__} that is incomplete has no stable form: {error}") from None


def escape(text: str) -> str:
    """Percent-escape what may not stand in a key; everything else stays readable."""
    return _UNSAFE.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    # surrogatepass: a lone surrogate is legal in a str, has no UTF-8 form, and must not collide
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _string(text: str) -> str:
    if text in _RESERVED or text[0] in "~'" or _NUMBER_LIKE.fullmatch(text):
        return _quoted(text)
    return escape(text)


def _quoted(text: str) -> str:
    return "'" + _INNER_UNSAFE.sub(_percent, escape(text)) + "'"


def _structured(value: object) -> str:
    """The text of a value that is, or stands inside, something other than a plain string."""
    for kind, render in _RENDERERS:
        if isinstance(value, kind):
            return render(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return _tagged(_class_name(value), _fields((name, getattr(value, name)) for name in names))
    raise TypeError(f"a value of type {type(value).__qualname__} has no stable form")


def _tagged(tag: str, content: str) -> str:
    return f"~{tag}({content})"


def _class_name(value: object) -> str:
    return escape(f"{type(value).__module__}.{type(value).__qualname__}").replace("(", "%28")


def _fields(pairs: Iterable[tuple[str, object]]) -> str:
    return ",".join(f"{_quoted(name)[1:-1]}={_structured(item)}" for name, item in pairs)


def _items(values: Iterable[object]) -> str:
    return ",".join(map(_structured, values))


def _int(value: int) -> str:
    if value.bit_length() > _LONG_INT_BITS:
        return _tagged("int", int.__format__(value, "x"))
    return int.__repr__(value)


def _path(value: PurePath) -> str:
    return _tagged("winpath" if isinstance(value, PureWindowsPath) else "path", _quoted(str(value)))


def _enum(value: Enum) -> str:
    member = value.name if value.name is not None else repr(value.value)  # unnamed flag combinations
    return _tagged("enum", f"{_class_name(value)},{_quoted(member)[1:-1]}")


def _model(value: BaseModel) -> str:
    extra = value.model_extra or {}
    return _tagged(_class_name(value), _fields([*_model_fields(value), *sorted(extra.items())]))


def _model_fields(value: BaseModel) -> list[tuple[str, object]]:
    return [(name, getattr(value, name)) for name in type(value).model_fields]


def _dict(value: dict[Any, Any]) -> str:
    return ",".join(sorted(f"{_structured(key)}={_structured(item)}" for key, item in value.items()))


def _tuple(value: tuple[Any, ...]) -> str:
    # a named tuple is a tuple with a class of its own: keep the two apart
    return _tagged("tuple" if type(value) is tuple else _class_name(value), _items(value))


def _set(value: set[Any] | frozenset[Any]) -> str:
    if len({type(item) for item in value}) > 1:
        raise TypeError("a set of mixed types has no stable form")
    tag = "frozenset" if isinstance(value, frozenset) else "set"
    return _tagged(tag, ",".join(sorted(map(_structured, value))))


def _zone(value: dt.datetime | dt.time) -> str:
    """Tells apart zones that share an offset: Europe/Berlin in winter is not +01:00."""
    zone, fold = value.tzinfo, ",fold" if value.fold else ""
    if zone is None:
        return fold
    if zone.utcoffset(None) is not None:
        return ""  # a fixed offset, which isoformat shows in full: no hour of it is ever repeated
    name = zone.key if isinstance(zone, ZoneInfo) and zone.key else str(value.tzname())
    return f",{_quoted(name)}{fold}"


def _moment(tag: str) -> Callable[[Any], str]:
    return lambda value: _tagged(tag, escape(value.isoformat()) + _zone(value))


# Order matters: a bool is an int, a datetime is a date, an Enum may be a str.
_RENDERERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (Enum, _enum),
    ((bool, type(None)), str),
    (int, _int),
    (float, float.__repr__),
    (str, lambda value: _quoted(str.__str__(value))),
    (bytes, lambda value: _tagged("bytes", value.hex())),
    (PurePath, _path),
    (uuid.UUID, lambda value: _tagged("uuid", str(value))),
    (Decimal, lambda value: _tagged("decimal", str(value))),
    (dt.datetime, _moment("datetime")),
    (dt.date, lambda value: _tagged("date", value.isoformat())),
    (dt.time, _moment("time")),
    (dt.timedelta, lambda value: _tagged("timedelta", f"{value.days},{value.seconds},{value.microseconds}")),
    (tuple, _tuple),
    (list, lambda value: _tagged("list", _items(value))),
    (dict, lambda value: _tagged("dict", _dict(value))),
    ((set, frozenset), _set),
    (BaseModel, _model),
)
