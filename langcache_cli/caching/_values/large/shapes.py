"""Where values of a type can be taken apart: into items of lists and dicts, and fields of plain classes.

Only where the parts are validated and encoded independently of each other. What a validator or a serializer
of the application sees as a whole is never taken apart.
"""

from __future__ import annotations

import collections.abc
import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict

from langcache_cli.caching._values.ambiguous_unions import distinguished_by_json
from langcache_cli.caching._values.large.weight import is_bounded
from langcache_cli.caching._values.plain_models import is_plain_dataclass, is_plain_model

_ARRAYS: dict[Any, type[Any]] = {
    **{kind: kind for kind in (list, tuple, set, frozenset)},
    collections.abc.Sequence: list,
}
_OBJECTS: dict[Any, type[Any]] = {dict: dict, collections.abc.Mapping: dict}


class Part(Protocol):
    """Encodes and decodes values of one annotation; a `Codec`."""

    def encode(self, value: Any, *, path: str = "", first: int = 0) -> bytes:
        """The JSON of a value that decodes to an equal one."""

    def encode_complete(self, value: Any, *, path: str = "", first: int = 0) -> bytes:
        """The same, with the fields of models that were not set."""

    def to_json(self, value: Any, *, exclude: set[str], complete: bool) -> bytes:
        """The JSON of a value without some of its fields."""

    def decode(self, payload: bytes) -> Any:
        """The value of a payload."""


PartFactory = Callable[[Any, ConfigDict | None], Part]


class Shape:
    """How values of one annotation can be taken apart.

    Attributes:
        kind: The exact type of values that can be; None if none can.
        opener: How their JSON begins; empty if none can.
        annotation: The type of its portions: a part of a list is a list.
    """

    kind: type[Any] | None = None
    opener = b""

    def __init__(self, annotation: Any, shapes: Shapes) -> None:
        self.annotation = annotation
        self._shapes = shapes

    @cached_property
    def part(self) -> Part:
        """Encodes and decodes portions."""
        return self._shapes.part(self.annotation)

    def of(self, value: Any) -> Shape | None:
        """The shape to take a value apart by; None if that is impossible."""
        return self if self.kind is not None and type(value) is self.kind else None

    def opened_by(self, opener: bytes) -> Shape | None:
        """The shape of JSON that begins with a bracket or a brace."""
        return self if opener == self.opener else None


class _UniformShape(Shape):
    """Values with items of one type."""

    def __init__(self, annotation: Any, shapes: Shapes, item: Any) -> None:
        super().__init__(annotation, shapes)
        self._item = item
        self.is_light = is_bounded(item)
        """True if items consist of few objects."""

    @cached_property
    def item(self) -> Shape:
        """Of its items."""
        return self._shapes.of(self._item)


class ArrayShape(_UniformShape):
    """Lists, tuples and sets of items of one type."""

    opener = b"["

    def __init__(self, annotation: Any, shapes: Shapes, kind: type[Any], item: Any) -> None:
        super().__init__(annotation, shapes, item)
        self.kind: type[Any] = kind


class ObjectShape(_UniformShape):
    """Dicts of values of one type, which are its items here."""

    kind: type[Any] = dict
    opener = b"{"


class FieldsShape(Shape):
    """Models and dataclasses that do not customise how they are built, validated or encoded."""

    opener = b"{"

    def __init__(self, annotation: Any, shapes: Shapes, fields: Mapping[str, Any], inner: Shapes) -> None:
        super().__init__(annotation, shapes)
        self.kind: type[Any] = annotation
        self._fields = fields
        self._inner = inner

    @cached_property
    def fields(self) -> dict[str, Shape]:
        """Of the fields that can be taken apart."""
        shapes = {name: self._inner.of(annotation) for name, annotation in self._fields.items()}
        return {name: shape for name, shape in shapes.items() if type(shape) is not Shape}


class ChoiceShape(Shape):
    """Unions whose members JSON distinguishes, and `Any`."""

    def __init__(self, annotation: Any, shapes: Shapes, members: Callable[[], list[Shape]]) -> None:
        super().__init__(annotation, shapes)
        self._members = members

    def of(self, value: Any) -> Shape | None:
        return next((found for one in self._members() if (found := one.of(value)) is not None), None)

    def opened_by(self, opener: bytes) -> Shape | None:
        found = [one for member in self._members() if (one := member.opened_by(opener)) is not None]
        return found[0] if len(found) == 1 else None


class Shapes:
    """The shapes of annotations under one pydantic config."""

    def __init__(self, part_for: PartFactory, config: ConfigDict | None = None) -> None:
        """Prepare.

        Args:
            part_for: Makes the codec of an annotation under a config.
            config: Of the model around; None for that of the codec.
        """
        self._part_for = part_for
        self._config = config
        self._shapes: dict[Any, Shape] = {}
        self._parts: dict[Any, Part] = {}

    def part(self, annotation: Any) -> Part:
        """The codec of an annotation."""
        if not _has_hash(annotation):
            return self._part_for(annotation, self._config)
        if annotation not in self._parts:
            self._parts[annotation] = self._part_for(annotation, self._config)
        return self._parts[annotation]

    def of(self, annotation: Any) -> Shape:
        """The shape of an annotation."""
        if get_origin(annotation) is None:  # `Rows[Word]` has the value of `Rows`, with type variables
            annotation = getattr(annotation, "__value__", annotation)  # the value of `type Words = ...`
        try:
            if not _has_hash(annotation):
                return self._made(annotation)
            if annotation not in self._shapes:
                self._shapes[annotation] = self._made(annotation)
            return self._shapes[annotation]
        except (TypeError, NameError):  # it cannot be resolved
            return Shape(annotation, self)

    def _made(self, annotation: Any) -> Shape:
        if annotation is Any:
            members: list[Shape] = [ArrayShape(Any, self, list, Any), ObjectShape(Any, self, Any)]
            return ChoiceShape(Any, self, lambda: members)
        origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
        if origin in (Union, UnionType):
            present = [one for one in arguments if one is not NoneType and one is not None]
            if len(present) > 1 and not distinguished_by_json(arguments):
                return Shape(annotation, self)
            return ChoiceShape(annotation, self, lambda: [self.of(one) for one in present])
        if origin in _ARRAYS and (origin is not tuple or arguments[1:] == (Ellipsis,)):
            return ArrayShape(annotation, self, _ARRAYS[origin], arguments[0] if arguments else Any)
        if origin in _OBJECTS:
            return ObjectShape(annotation, self, arguments[1] if arguments else Any)
        return self._of_class(annotation) if isinstance(annotation, type) else Shape(annotation, self)

    def _of_class(self, kind: type[Any]) -> Shape:
        if is_plain_model(kind) and not _has_computed_default(kind):
            fields = {
                name: field.annotation
                for name, field in kind.model_fields.items()
                if not field.metadata and field.discriminator is None and _is_unambiguous(field.annotation)
            }
            return FieldsShape(kind, self, fields, Shapes(self._part_for, kind.model_config))
        if is_plain_dataclass(kind):
            hints = get_type_hints(kind, include_extras=True)
            names = [field.name for field in dataclasses.fields(kind)]
            fields = {name: hints[name] for name in names if _is_unambiguous(hints[name])}
            return FieldsShape(kind, self, fields, self)
        return Shape(kind, self)


def _is_unambiguous(annotation: Any) -> bool:
    """False with a union to whose values a codec adds the name of a member; not so inside of classes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return True
    if origin in (Union, UnionType) and not distinguished_by_json(arguments):
        return False
    return all(map(_is_unambiguous, arguments))


def _has_computed_default(model: type[BaseModel]) -> bool:
    """True if a default depends on other fields, which may be read after it."""
    return any(field.default_factory_takes_validated_data for field in model.model_fields.values())


def _has_hash(annotation: Any) -> bool:
    """False for some with metadata: ``Annotated[int, {}]``."""
    try:
        hash(annotation)
    except TypeError:
        return False
    return True
