"""Encoding of values as JSON and decoding to the types of the return annotation, by a pydantic `TypeAdapter`.

A value that would not decode to an equal value of the same types is rejected when it is encoded. There is no
pickle: write access to Redis must not allow code execution.
"""

from __future__ import annotations

from functools import cached_property
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
from langcache_cli.caching._values.ambiguous_unions import disambiguate_unions
from langcache_cli.caching._values.compression import (
    MAX_DECOMPRESSED_BYTES,
    decompress_short,
    decompressing,
)
from langcache_cli.caching._values.fail_fast import fail_fast
from langcache_cli.caching._values.fields_set import (
    PREFIX,
    fields_sets,
    models,
    restore_fields_sets,
    split_fields_sets,
    with_fields_sets,
)
from langcache_cli.caching._values.fingerprint import fingerprint
from langcache_cli.caching._values.large.codec_in_steps import CodecInSteps
from langcache_cli.caching._values.large.portions import LARGE_BYTES, in_portions
from langcache_cli.caching._values.large.weight import heavy_test
from langcache_cli.caching._values.proven_round_trip import proven_round_trip
from langcache_cli.caching._values.refusals import differs, summary, uncacheable
from langcache_cli.caching._values.rejected_types import (
    annotation_text,
    reject_iterators,
    reject_type,
)
from langcache_cli.caching._values.strict_equality import strictly_equal

_JSON_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")

_DUMP: dict[str, Any] = {"round_trip": True, "by_alias": False, "warnings": "error"}
_QUIET: dict[str, Any] = {**_DUMP, "warnings": False}


class Codec:
    """Encodes and decodes the values of one return annotation."""

    def __init__(self, annotation: Any, config: ConfigDict | None = None) -> None:
        """Build the adapter of ``annotation``; `Any` accepts plain JSON values only.

        Args:
            annotation: A return annotation.
            config: Of pydantic; None for one that keeps bytes and infinite floats.

        Raises:
            TypeError: Values of this type can never be cached. The message says what to do instead.
            NameError: The annotation refers to a name that is not defined yet.
        """
        reject_type(annotation)
        self.annotation = annotation
        self.fingerprint = fingerprint(annotation)
        self._plain = annotation is Any
        try:
            self._adapter = _adapter(annotation, _JSON_CONFIG if config is None else config)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise TypeError(
                f"{annotation_text(annotation)} cannot be cached: {str(error).splitlines()[0]}"
            ) from None
        # Called directly: the methods of the adapter double the time of a call.
        self._validate = self._adapter.validator.validate_json
        self._to_json = self._adapter.serializer.to_json
        self._round_trip_is_proven = proven_round_trip(annotation)
        self.is_heavy = heavy_test(annotation)
        """Says whether a value should be encoded by `encode_large`; None if none should."""

    def is_large(self, value: Any) -> bool:
        """True if a value should be encoded by `encode_large`."""
        return self.is_heavy is not None and self.is_heavy(value)

    def encode(self, value: Any, *, path: str = "", first: int = 0) -> bytes:
        """The JSON of ``value``.

        Args:
            value: A value, or a part of a larger one.
            path: Where in that it is, for messages.
            first: The index that its first item has there.

        Raises:
            UncacheableValueError: It would not decode to an equal value of the same types. ``value`` itself
                is unchanged.
        """
        try:
            if self._round_trip_is_proven is not None and self._round_trip_is_proven(value):
                # No warning is possible here, and detecting them doubles the time.
                return self._to_json(
                    value, round_trip=True, by_alias=False, warnings=False, exclude_unset=True
                )
            (_require_plain_json if self._plain else reject_iterators)(value)
            payload, restored, is_equal = self._encode_and_decode(value)
        except Exception as error:  # noqa: BLE001 - runs serializers and __eq__ of the application
            raise uncacheable(error) from None
        if not is_equal:
            raise differs(value, restored, path, first)
        return payload

    def encode_complete(self, value: Any, *, path: str = "", first: int = 0) -> bytes:
        """The JSON of ``value`` with the fields of models that were not set; raises like `encode`.

        It decodes to an equal value once it has the `fields_sets` of this one.
        """
        try:
            payload = self._to_json(value, **_DUMP)
            restored = self.decode(payload)
            restore_fields_sets(restored, fields_sets(value))
            is_equal = strictly_equal(value, restored)
        except Exception as error:  # noqa: BLE001 - see `encode`
            raise uncacheable(error) from None
        if not is_equal:
            raise differs(value, restored, path, first)
        return payload

    def to_json(self, value: Any, *, exclude: set[str], complete: bool) -> bytes:
        """The JSON of a model or dataclass without some of its fields."""
        return self._to_json(value, **_QUIET, exclude=exclude, exclude_unset=not complete)

    async def encode_large(self, value: Any) -> bytes:
        """`encode`, while the event loop runs.

        What is stored is what the value is meanwhile: it must not be changed before this returns.
        """
        try:
            return await in_portions(self._large.encode(value))
        except UncacheableValueError:
            raise
        except Exception as error:  # noqa: BLE001 - such as a dict that was changed meanwhile
            raise uncacheable(error) from None

    async def decode_stored(
        self, stored: bytes, compression: str, *, max_bytes: int = MAX_DECOMPRESSED_BYTES
    ) -> Any:
        """The value of a payload that may be compressed. The event loop runs meanwhile if it is large.

        Raises:
            OversizedEntryError: It takes more than ``max_bytes`` as JSON, or consists of too many objects.
            UndecodableEntryError: See `decode`.
        """
        payload = decompress_short(stored, compression) if compression else stored
        if payload is not None and len(payload) <= LARGE_BYTES:
            return self.decode(payload)
        json = await in_portions(decompressing(stored, compression, max_bytes=max_bytes))
        return await self.decode_large(json)

    async def decode_large(self, payload: bytes) -> Any:
        """`decode`, while the event loop runs."""
        try:
            return await in_portions(self._large.decode(payload))
        except UndecodableEntryError:
            raise
        except Exception as error:  # runs validators of the application, on bytes of any origin
            raise UndecodableEntryError(summary(error)) from error

    @cached_property
    def _large(self) -> CodecInSteps:
        return CodecInSteps(self.annotation, self, Codec)

    def _encode_and_decode(self, value: Any) -> tuple[bytes, Any, bool]:
        """The JSON of a value, what that decodes to, and whether that is equal, if there is a way to it."""
        payload = self._to_json(value, **_DUMP, exclude_unset=True)
        try:
            restored = self.decode(payload)
            is_equal = strictly_equal(value, restored)
        except UndecodableEntryError:
            if next(models(value), None) is None:
                raise
            is_equal = False  # a field that was not set is needed to decode, such as a discriminator
        if not is_equal and (sets := fields_sets(value)):
            payload = with_fields_sets(self._to_json(value, **_DUMP), sets)
            restored = self.decode(payload)
            is_equal = strictly_equal(value, restored)
        return payload, restored, is_equal

    def decode(self, payload: bytes) -> Any:
        """The value of ``payload``, a new object for each call: callers may modify it.

        Raises:
            UndecodableEntryError: The bytes are not JSON of the expected type.
        """
        try:
            if payload[:1] == PREFIX:
                sets, payload = split_fields_sets(payload)
                value = self._validate(payload, by_alias=False, by_name=True)
                restore_fields_sets(value, sets)
                return value
            return self._validate(payload, by_alias=False, by_name=True)
        except Exception as error:  # as in `decode_large`
            raise UndecodableEntryError(summary(error)) from error


def _adapter(annotation: Any, config: ConfigDict = _JSON_CONFIG) -> TypeAdapter[Any]:
    """An adapter with a config, by way of a class: pydantic rejects a config for dataclasses."""
    unambiguous = disambiguate_unions(annotation, _adapter)

    class Root:
        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
            return fail_fast(handler.generate_schema(unambiguous))

    return TypeAdapter(Root, config=config)


def _require_plain_json(value: Any) -> None:
    """Reject all but the types of JSON itself. Must run before encoding, which would consume iterators.

    Raises:
        UncacheableValueError: The value is, or contains, a value of another type.
    """
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
