"""A digest of how values become JSON: equal digests, equal JSON.

The bytes of an entry are sent as they are. So more counts here than the types of fields, which decide whether
an entry can be decoded: fields that are left out, aliases, serializers, computed fields, defaults, the
settings of a model. All of it is in pydantic's schema, or is referred to by it: functions count with their
code, and with what they have captured. The digest differs between versions of pydantic and Python; then
entries are loaded anew. What a function calls is not looked at.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import re
import types
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from hashlib import blake2b
from pathlib import PurePath
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter

_IDENTITY = re.compile(r":\d+")
"""Schemas refer to classes by name and address."""
_REFERENCES = ("ref", "schema_ref")
_SHOWN = (
    *(str, bytes, int, float, complex, types.NoneType, Decimal, UUID, range, PurePath),
    *(dt.date, dt.time, dt.timedelta, dt.tzinfo),
)
"""Their ``repr`` says all of them."""


def digest_of_model(model: Any) -> str:
    """The digest for a response model; another one in each process for a model that nests too deeply."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        adapter.rebuild(force=True)  # of models with defer_build
        schema = adapter.core_schema
        if not isinstance(schema, dict):
            return uuid4().hex
        return _Digests().of(schema).hex()
    except RecursionError:
        return uuid4().hex


def digest_of_class(kind: type[Any]) -> str:
    """The digest for a response class: its name, its attributes, how it is made and how it renders."""
    bases = [one for one in kind.__mro__ if one is not object]
    own = {name: item for one in reversed(bases) for name, item in vars(one).items() if not _is_private(name)}
    return _Digests().of({**own, "init": kind.__init__, "name": _name(kind)}).hex()


class _Digests:
    """Digests of one walk; each object is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._kept: list[Any] = []
        """So that no id is used again."""

    def of(self, item: Any) -> bytes:
        """The digest of anything that a schema may consist of, or refer to."""
        if isinstance(item, enum.Enum):
            return _hash("enum", [_name(type(item)), item.name, *self._shown(item.value)])
        if isinstance(item, _SHOWN):
            return _hash(type(item).__name__, self._shown(item))
        known = self._known.get(id(item))
        if known is None:
            self._known[id(item)] = b"a circle"
            self._kept.append(item)
            known = self._known[id(item)] = self._of_object(item)
        return known

    def _shown(self, value: Any) -> list[str]:
        return [repr(value)] if isinstance(value, _SHOWN) else []

    def _of_object(self, item: Any) -> bytes:
        if isinstance(item, Mapping):
            return self._of_mapping(item)
        if isinstance(item, (list, tuple)):
            return _hash("list", map(self.of, item))
        if isinstance(item, (set, frozenset)):
            return _hash("set", sorted(map(self.of, item)))
        if isinstance(item, type):
            return _hash("class", [_name(item), *self._computed_fields(item)])
        if isinstance(item, types.ModuleType):
            return _hash("module", [item.__name__])
        return self._of_callable(item)

    def _of_mapping(self, item: Mapping[Any, Any]) -> bytes:
        is_schema = isinstance(item.get("type"), str)  # and not a mapping of names to schemas
        parts = []
        for key, inner in item.items():
            if is_schema and key in _REFERENCES:
                parts.append(self.of(key) + _IDENTITY.sub("", str(inner)).encode())
            elif not (is_schema and key == "metadata"):  # for JSON schemas
                parts.append(self.of(key) + self.of(inner))
        return _hash("mapping", sorted(parts))

    def _of_callable(self, item: Any) -> bytes:
        if isinstance(item, functools.partial):
            return _hash("partial", map(self.of, (item.func, item.args, item.keywords)))
        if isinstance(item, (property, functools.cached_property)):
            return _hash("property", [self.of(getattr(item, "fget", None) or getattr(item, "func", None))])
        if isinstance(item, (staticmethod, classmethod)):
            return _hash("wrapper", [self.of(item.__wrapped__)])
        if isinstance(item, types.MethodType):
            return _hash("method", map(self.of, (item.__func__, item.__self__)))
        if isinstance(item, types.FunctionType):
            return self._of_function(item)
        parts: list[str | bytes] = [_name(type(item)), self.of(_state(item))]
        if callable(item) and isinstance(call := type(item).__call__, types.FunctionType):
            parts.append(self.of(call))
        return _hash("object", parts)

    def _of_function(self, function: types.FunctionType) -> bytes:
        cells = [_contents(cell) for cell in function.__closure__ or ()]
        state = function.__defaults__, function.__kwdefaults__, cells
        return _hash("function", [_name(function), self._of_code(function.__code__), *map(self.of, state)])

    def _of_code(self, code: types.CodeType) -> bytes:
        constants = [
            self._of_code(one) if isinstance(one, types.CodeType) else self.of(one) for one in code.co_consts
        ]
        return _hash("code", [code.co_code, *map(self.of, (code.co_names, code.co_varnames)), *constants])

    def _computed_fields(self, kind: type[Any]) -> Iterable[bytes]:
        """The code of computed fields, which the schema of a model does not refer to."""
        decorators = getattr(kind, "__pydantic_decorators__", None)
        for name, found in sorted(decorators.computed_fields.items()) if decorators is not None else ():
            yield self.of(name) + self.of(found.info.wrapped_property)


def _hash(kind: str, parts: Iterable[str | bytes]) -> bytes:
    digest = blake2b(kind.encode(), digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "backslashreplace") if isinstance(part, str) else part
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def _state(item: Any) -> dict[str, Any]:
    """The attributes of an object, as far as they are known."""
    if dataclasses.is_dataclass(item):
        return {field.name: getattr(item, field.name, None) for field in dataclasses.fields(item)}
    state = getattr(item, "__dict__", None)
    return dict(state) if isinstance(state, dict) else {}


def _name(item: Callable[..., Any]) -> str:
    return f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', '')}"


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound
        return None


def _is_private(name: str) -> bool:
    return name.startswith("_")
