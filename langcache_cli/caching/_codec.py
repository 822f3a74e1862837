"""Values as JSON and back, with the types that the return annotation promises.

A pydantic `TypeAdapter` does the work in both directions. What would not come back the same is
refused when it is stored, never discovered by a reader. No pickle: whoever can write to Redis
must not be able to run code.
"""

from __future__ import annotations

import collections.abc
from typing import Any, get_args, get_origin

from pydantic import (
    ConfigDict,
    GetCoreSchemaHandler,
    PydanticSchemaGenerationError,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticUserError
from pydantic_core import CoreSchema, PydanticSerializationError

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._fingerprint import fingerprint
from langcache_cli.caching._sameness import same
from langcache_cli.caching._unions import name_members

_JSON_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")

_CONSUMED_BY_READING = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
    collections.abc.Awaitable,
    collections.abc.Coroutine,
)


class UncacheableValueError(CacheError):
    """The value would not come back from the cache the same; nothing was stored."""


class UndecodableEntryError(CacheError):
    """The stored bytes are not a value of the expected type: an older schema, foreign or cut-off data."""


class Codec:
    """Encodes and decodes the values of one return annotation."""

    def __init__(self, annotation: Any) -> None:
        """Prepare for ``annotation``; `Any` means plain JSON values.

        Raises:
            TypeError: Values of this type can never be cached; the message says what to do.
            NameError: The annotation refers to a name that does not exist yet.
        """
        reject_uncacheable(annotation)
        self.annotation = annotation
        self.fingerprint = fingerprint(annotation)
        self._plain = annotation is Any
        try:
            self._adapter = _adapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise TypeError(
                f"{_readable(annotation)} cannot be cached: {str(error).splitlines()[0]}"
            ) from None

    def encode(self, value: Any) -> bytes:
        """The JSON of ``value``.

        Raises:
            UncacheableValueError: It would not come back the same. The value is unharmed.
        """
        if self._plain:
            _require_plain_json(value)
        try:
            payload = self._adapter.dump_json(value, round_trip=True, by_alias=False, warnings="error")
            restored = self.decode(payload)
        except (PydanticSerializationError, UndecodableEntryError, ValueError, TypeError) as error:
            raise UncacheableValueError(_first_line(error)) from None
        if not same(value, restored):
            raise UncacheableValueError(f"it would come back as {restored!r:.200}, not as {value!r:.200}")
        return payload

    def decode(self, payload: bytes | memoryview) -> Any:
        """The value of ``payload``: a new object each time, so no caller can change another's.

        Raises:
            UndecodableEntryError: The bytes are not JSON of the expected type.
        """
        try:
            return self._adapter.validate_json(bytes(payload), by_alias=False, by_name=True)
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            raise UndecodableEntryError(_first_line(error)) from None


def reject_uncacheable(annotation: Any) -> None:
    """Refuse types that cannot survive, with the way out in the message.

    Raises:
        TypeError: An ORM class or an iterator, here or anywhere inside.
    """
    kind = get_origin(annotation) or annotation
    if kind in _CONSUMED_BY_READING:
        raise TypeError(f"{_readable(annotation)} is used up by reading it; return a list instead")
    if isinstance(kind, type) and (hasattr(kind, "__mapper__") or hasattr(kind, "__table__")):
        raise TypeError(
            f"{kind.__qualname__} is an ORM class, tied to its session and database row; return a pydantic "
            "model of it: class Cached(BaseModel, from_attributes=True), then Cached.model_validate(row)"
        )
    for argument in get_args(annotation):
        reject_uncacheable(argument)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """An adapter with our JSON settings, which pydantic does not let us give to a model or dataclass directly."""
    named = name_members(annotation, _adapter)

    class Root:
        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
            return handler.generate_schema(named)

    return TypeAdapter(Root, config=_JSON_CONFIG)


def _require_plain_json(value: Any) -> None:
    """Without an annotation only what JSON itself can hold; checked first, because dumping uses up iterators."""
    if value is None or type(value) in (bool, int, float, str):
        return
    if type(value) is list:
        for item in value:
            _require_plain_json(item)
    elif type(value) is dict and all(type(key) is str for key in value):
        for item in value.values():
            _require_plain_json(item)
    else:
        raise UncacheableValueError(
            f"a {type(value).__qualname__} is not a plain JSON value; annotate the function's return type"
        )


def _readable(annotation: Any) -> str:
    return getattr(annotation, "__qualname__", None) or str(annotation)


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
