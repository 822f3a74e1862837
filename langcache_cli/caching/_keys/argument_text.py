"""The text of an argument in a key. It is injective: two different arguments never have the same text.

Plain words and numbers stay as they are. Values of other types get a form that no string can have: a string
that looks like one is quoted. Separators, glob characters and control characters are percent-escaped. The
text is the same in all Python versions, because processes of different versions share a cache.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath, PureWindowsPath
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from langcache_cli.caching._keys.large_argument import LONG_TEXT, digest_of_large, is_large
from langcache_cli.caching._keys.shortening import DIGEST_MARK, digest

# ':' separates arguments, the other characters before the braces are special in Redis patterns, braces choose
# a cluster slot, '%' escapes. Then control characters, surrogates, and invisible or reordering characters.
_UNSAFE = re.compile(
    "[:*?\\[\\]\\\\^{}%\x00-\x1f\x7f-\x9f\ud800-\udfff"
    "\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+"
)
is_plain_word = re.compile(r"(?!(?:None|True|False|inf|nan)\Z)[^\W\d_][\w ,.!-]{0,999}").fullmatch
"""Fast path for most words: `_string` returns them unchanged, but takes longer."""

_LINE_END = "\n"
_PLAIN_LINES = re.compile("(?:[A-Za-z][A-Za-z0-9_ ,.!-]{5,999}\n)*").fullmatch
"""Some of what `is_plain_word` matches, a line each: too long for ``False``, the longest reserved word."""

MANY_ITEMS = 1024
"""Longer lists, tuples and dicts of plain values are represented by a digest."""

_HEAD = 256
"""Characters of a long string that stay readable; more than a whole key has."""

_NUMBER_LIKE = re.compile(r"[-+]?[0-9][0-9.eE+-]*", re.ASCII)
_PLAIN_INSIDE = re.compile(r"[\w .!/@+-]{0,4096}", re.ASCII).fullmatch
"""Fast path of `_quoted`: most of what stands in a container is returned unchanged."""
_RESERVED = frozenset({"", "None", "True", "False", "inf", "-inf", "nan"})
_INNER_UNSAFE = re.compile("['(),=]")
_PLAIN_TYPES = {str, int, float, bool, type(None)}
SHORT_INT = 2**63
"""Ints outside +-2**63 may be too long for Python to write in decimal."""

_LONG_INT_BITS = 1024
"""Longer ints are written in hex: Python limits decimal digits, and the limit differs between processes."""


def argument_text(value: object) -> str:
    """The text of one argument in a key. In a Redis pattern it matches only itself.

    Raises:
        TypeError: The value has no stable form: an object with a default ``repr``, an open file, a set of
            mixed types, a value that contains itself, a dataclass with an unset field.
    """
    if type(value) is str and is_plain_word(value):
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        return _string(str.__str__(value))
    try:
        if (quick := _EXACT.get(type(value))) is not None:
            return quick(value)
        return _many_plain(value) or _large(value) or _structured(value)
    except RecursionError:
        raise TypeError(f"a {type(value).__name__} that contains itself has no stable form") from None
    except AttributeError as error:
        raise TypeError(f"a {type(value).__name__} that is incomplete has no stable form: {error}") from None


def are_plain(values: Sequence[object]) -> bool:
    """True if the text of every value is ``f"{value}"``; False also if that would take long to find out."""
    kinds = {*map(type, values)}
    if kinds == {str}:
        lines = _LINE_END.join(values) + _LINE_END  # type: ignore[arg-type] # all are strings
        return lines.count(_LINE_END) == len(values) and _PLAIN_LINES(lines) is not None
    return kinds == {int} and min(values) > -SHORT_INT and max(values) < SHORT_INT  # type: ignore[operator, type-var]


def escape(text: str) -> str:
    """Percent-escape the characters that a key must not contain."""
    return _UNSAFE.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    # surrogatepass: a str may contain lone surrogates, which have no UTF-8 form
    return "%" + match[0].encode("utf-8", "surrogatepass").hex("%").upper()


def _string(text: str) -> str:
    if len(text) > LONG_TEXT:
        head = text[:_HEAD]
        return (_quoted(head) if head[0] in "~'" else escape(head)) + _digest_of(text)
    if text in _RESERVED or text[0] in "~'" or _NUMBER_LIKE.fullmatch(text):
        return _quoted(text)
    return escape(text)


def _quoted(text: str) -> str:
    if _PLAIN_INSIDE(text):
        return f"'{text}'"
    if len(text) > LONG_TEXT:
        return _quoted(text[:_HEAD])[:-1] + _digest_of(text) + "'"
    return "'" + _INNER_UNSAFE.sub(_percent, escape(text)) + "'"


def _digest_of(text: str) -> str:
    return DIGEST_MARK + digest(text.encode("utf-8", "surrogatepass"))


def _large(value: object) -> str | None:
    """The text of an argument that has much in it, of whatever kinds; None for any other."""
    return digest_of_large(value, _structured) if is_large(value) else None


def _many_plain(value: Any) -> str | None:
    """The text of a long list, tuple or dict of plain values; None for anything else."""
    kind = dict if isinstance(value, dict) else list if isinstance(value, list) else type(value)
    if kind not in (list, tuple, dict) or len(value) <= MANY_ITEMS:
        return None
    items = value.values() if kind is dict else value
    if not {*map(type, items)} <= _PLAIN_TYPES or (kind is dict and {*map(type, value)} != {str}):
        return None
    try:
        text = json.dumps(value, sort_keys=kind is dict, separators=(",", ":"))
    except ValueError:
        return None  # an int too long for Python to write in decimal
    return f"~{kind.__name__}{DIGEST_MARK}{digest(text.encode())}"


def _structured(value: object) -> str:
    """The text of a value of another type, or of any value in a container, where strings are quoted."""
    quick = _EXACT.get(type(value))
    if quick is not None:
        return quick(value)
    if isinstance(value, (list, tuple, dict)) and (text := _many_plain(value)) is not None:
        return text
    for kind, render in _RENDERERS:
        if isinstance(value, kind):
            return render(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return _typed(_class_name(value), _fields((name, getattr(value, name)) for name in names))
    raise TypeError(f"a value of type {type(value).__qualname__} has no stable form")


def _typed(kind: str, content: str) -> str:
    return f"~{kind}({content})"


def _class_name(value: object) -> str:
    return _name_of(type(value).__module__, type(value).__qualname__)


@lru_cache(maxsize=512)
def _name_of(module: str, qualname: str) -> str:
    return escape(f"{module}.{qualname}").replace("(", "%28")


def _fields(pairs: Iterable[tuple[str, object]]) -> str:
    return ",".join([f"{_quoted(name)[1:-1]}={_structured(item)}" for name, item in pairs])


def _items(values: Iterable[object]) -> str:
    return ",".join(map(_structured, values))


def _int(value: int) -> str:
    if value.bit_length() > _LONG_INT_BITS:
        return _typed("int", int.__format__(value, "x"))
    return int.__repr__(value)


def _path(value: PurePath) -> str:
    return _typed("winpath" if isinstance(value, PureWindowsPath) else "path", _quoted(str(value)))


def _enum(value: Enum) -> str:
    member = value.name if value.name is not None else repr(value.value)  # flags: combinations have no name
    return _typed("enum", f"{_class_name(value)},{_quoted(member)[1:-1]}")


def _model(value: BaseModel) -> str:
    extra = value.model_extra or {}
    return _typed(_class_name(value), _fields([*_model_fields(value), *sorted(extra.items())]))


def _model_fields(value: BaseModel) -> list[tuple[str, object]]:
    return [(name, getattr(value, name)) for name in type(value).model_fields]


def _dict(value: dict[Any, Any]) -> str:
    return ",".join(sorted(f"{_structured(key)}={_structured(item)}" for key, item in value.items()))


def _tuple(value: tuple[Any, ...]) -> str:
    # A named tuple equals a plain tuple, but is of another class: the texts must differ.
    return _typed("tuple" if type(value) is tuple else _class_name(value), _items(value))


def _set(value: set[Any] | frozenset[Any]) -> str:
    if len({type(item) for item in value}) > 1:
        raise TypeError("a set of mixed types has no stable form")
    kind = "frozenset" if isinstance(value, frozenset) else "set"
    return _typed(kind, ",".join(sorted(map(_structured, value))))


def _zone(value: dt.datetime | dt.time) -> str:
    """The zone, if isoformat does not identify it: Europe/Berlin in winter is not the fixed offset +01:00."""
    zone, fold = value.tzinfo, ",fold" if value.fold else ""
    if zone is None:
        return fold
    if zone.utcoffset(None) is not None:
        return ""  # a fixed offset: isoformat shows it in full, and fold has no meaning
    name = zone.key if isinstance(zone, ZoneInfo) and zone.key else str(value.tzname())
    return f",{_quoted(name)}{fold}"


def _time(kind: str) -> Callable[[Any], str]:
    return lambda value: _typed(kind, escape(value.isoformat()) + _zone(value))


# Order matters: a bool is an int, a datetime is a date, an Enum may be a str.
_RENDERERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (Enum, _enum),
    ((bool, type(None)), str),
    (int, _int),
    (float, float.__repr__),
    (str, lambda value: _quoted(str.__str__(value))),
    (bytes, lambda value: _typed("bytes", value.hex())),
    (PurePath, _path),
    (uuid.UUID, lambda value: _typed("uuid", str(value))),
    (Decimal, lambda value: _typed("decimal", str(value))),
    (dt.datetime, _time("datetime")),
    (dt.date, lambda value: _typed("date", value.isoformat())),
    (dt.time, _time("time")),
    (dt.timedelta, lambda value: _typed("timedelta", f"{value.days},{value.seconds},{value.microseconds}")),
    (tuple, _tuple),
    (list, lambda value: _typed("list", _items(value))),
    (dict, lambda value: _typed("dict", _dict(value))),
    ((set, frozenset), _set),
    (BaseModel, _model),
)

_CONTAINERS = (tuple, list, dict, BaseModel)
_EXACT: dict[type[Any], Callable[[Any], str]] = {
    **{kind: text for kind, text in _RENDERERS if isinstance(kind, type) and kind not in _CONTAINERS},
    bool: str,
    NoneType: str,
    str: _quoted,
}
"""Of the types that large arguments consist of: the renderers above, without the search."""

STABLE_TYPES: tuple[type[Any], ...] = tuple(
    one for kind, _ in _RENDERERS for one in (kind if isinstance(kind, tuple) else (kind,))
)
"""The types with a stable form, besides dataclasses: they and their subclasses can be part of a key."""
