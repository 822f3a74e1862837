"""Values as JSON and back, with the types that the return annotation promises.

A pydantic `TypeAdapter` does the work in both directions. What would not come back the same is
refused when it is stored, never discovered by a reader. No pickle: whoever can write to Redis
must not be able to run code.
"""

from __future__ import annotations

from typing import Any

from pydantic import (
    ConfigDict,
    GetCoreSchemaHandler,
    PydanticSchemaGenerationError,
    TypeAdapter,
)
from pydantic.errors import PydanticUserError
from pydantic_core import CoreSchema

from langcache_cli.caching._errors import UncacheableValueError, UndecodableEntryError
from langcache_cli.caching._values.ambiguous_unions import name_members
from langcache_cli.caching._values.fingerprint import fingerprint
from langcache_cli.caching._values.proven_round_trip import certain_survivors
from langcache_cli.caching._values.rejected_types import readable, reject_iterators, reject_type
from langcache_cli.caching._values.strict_equality import same

_JSON_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")


class Codec:
    """Encodes and decodes the values of one return annotation."""

    def __init__(self, annotation: Any) -> None:
        """Prepare for ``annotation``; `Any` means plain JSON values.

        Raises:
            TypeError: Values of this type can never be cached; the message says what to do.
            NameError: The annotation refers to a name that does not exist yet.
        """
        reject_type(annotation)
        self.annotation = annotation
        self.fingerprint = fingerprint(annotation)
        self._plain = annotation is Any
        try:
            self._adapter = _adapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise TypeError(
                f"{readable(annotation)} cannot be cached: {str(error).splitlines()[0]}"
            ) from None
        # what the adapter's own methods call, which take as long once more
        self._validate = self._adapter.validator.validate_json
        self._to_json = self._adapter.serializer.to_json
        self._survives = certain_survivors(annotation)

    def encode(self, value: Any) -> bytes:
        """The JSON of ``value``.

        Raises:
            UncacheableValueError: It would not come back the same. The value is unharmed.
        """
        try:
            if self._survives is not None and self._survives(value):
                # nothing to warn of, and looking for it takes twice as long as writing
                return self._to_json(value, round_trip=True, by_alias=False, warnings=False)
            (_require_plain_json if self._plain else reject_iterators)(value)
            payload = self._to_json(value, round_trip=True, by_alias=False, warnings="error")
            restored = self.decode(payload)
            survives = same(value, restored)
        except Exception as error:  # noqa: BLE001 - serializers and __eq__ are the application's
            raise UncacheableValueError(_reason(error)) from None
        if not survives:
            raise UncacheableValueError(f"it would come back as {_shown(restored)}, not as {_shown(value)}")
        return payload

    def decode(self, payload: bytes) -> Any:
        """The value of ``payload``: a new object each time, so no caller can change another's.

        Raises:
            UndecodableEntryError: The bytes are not JSON of the expected type.
        """
        try:
            return self._validate(payload, by_alias=False, by_name=True)
        except Exception as error:  # noqa: BLE001 - the application's own validators may raise anything
            raise UndecodableEntryError(_reason(error)) from None


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """An adapter with our JSON settings, which pydantic does not let us give to a dataclass directly."""
    named = name_members(annotation, _adapter)

    class Root:
        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
            return handler.generate_schema(named)

    return TypeAdapter(Root, config=_JSON_CONFIG)


def _require_plain_json(value: Any) -> None:
    """Without an annotation only what JSON itself can hold; checked first: dumping uses up iterators."""
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


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it contains itself, or is nested too deeply"
    if "invalid utf-8" in str(error):
        return (
            "it holds bytes that are not UTF-8, in a class that decides for itself how to write them; "
            "give that class model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
        )
    return " ".join(str(error).split())[:300] or type(error).__name__


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.200}"
    except Exception:  # noqa: BLE001 - a __repr__ that fails must not fail the call
        return f"a {type(value).__qualname__}"
