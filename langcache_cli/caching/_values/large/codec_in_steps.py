"""Encoding and decoding of large values in steps."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from langcache_cli.caching._values.fields_set import (
    PREFIX,
    finding_fields_sets,
    restoring_fields_sets,
    split_fields_sets,
    with_fields_sets,
)
from langcache_cli.caching._values.large.line_reader import LineReader, UnevenError, read_whole
from langcache_cli.caching._values.large.line_writer import LineWriter, UnsetFieldsError
from langcache_cli.caching._values.large.portions import Steps
from langcache_cli.caching._values.large.shapes import Part, PartFactory, Shapes

_TEXT_A_STEP = 256 * 1024


class CodecInSteps:
    """The same as the codec of an annotation, in steps."""

    def __init__(self, annotation: Any, whole: Part, part_for: PartFactory) -> None:
        """Prepare.

        Args:
            annotation: The annotation.
            whole: Its codec.
            part_for: Makes the codecs of its parts.
        """
        self._shape = Shapes(part_for).of(annotation)
        self._whole = whole
        self._takes_any_text = annotation in (str, Any, str | None)

    def encode(self, value: Any) -> Steps[bytes]:
        """The JSON of a value, in lines where it can be taken apart.

        Raises:
            UncacheableValueError: It would not decode to an equal value.
        """
        if type(value) is str and self._takes_any_text:
            return (yield from _encode_text(value))
        shape = self._shape.of(value)
        if shape is None:
            yield
            return self._whole.encode(value)
        writer = LineWriter(complete=False)
        try:
            yield from writer.write(shape, value)
            return b"".join(writer.pieces)
        except UnsetFieldsError:
            writer = LineWriter(complete=True)
        yield from writer.write(shape, value)
        sets = yield from finding_fields_sets(value)
        yield
        return with_fields_sets(b"".join(writer.pieces), sets)

    def decode(self, payload: bytes) -> Steps[Any]:
        """The value of a payload.

        Raises:
            Exception: The bytes are not JSON of the expected type.
        """
        sets = None
        if payload[:1] == PREFIX:
            sets, payload = split_fields_sets(payload)
            yield
        value = yield from self._decode(payload)
        if sets is not None:
            yield from restoring_fields_sets(value, sets)
        return value

    def _decode(self, payload: bytes) -> Steps[Any]:
        if payload[1:2] == b"\n":  # lines begin with a bracket alone
            try:
                return (yield from LineReader(payload).read(self._shape))
            except UnevenError:
                pass  # written by something else
        try:
            return (yield from read_whole(self._shape, payload))
        except UnevenError:
            return self._whole.decode(payload)


def _encode_text(text: str) -> Steps[bytes]:
    """The JSON of a string, which is that of its parts: each character is written by itself."""
    pieces = [b'"']
    for start in range(0, len(text), _TEXT_A_STEP):
        pieces.append(to_json(text[start : start + _TEXT_A_STEP])[1:-1])
        yield
    return b"".join([*pieces, b'"'])
