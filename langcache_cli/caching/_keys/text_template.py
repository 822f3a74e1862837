"""Templates of patterns and names: any text with ``{field}`` in it, such as ``"cache:*:{user_id}:*"``.

Unlike a `KeyTemplate` it may have any literal text, and its fields may stand beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from langcache_cli.caching._keys.template_field import TemplateField


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A parsed template.

    Attributes:
        text: As it is written.
        pieces: Pairs of literal text and the field after it; None if the template ends with the text.
    """

    text: str
    pieces: tuple[tuple[str, TemplateField | None], ...]

    @classmethod
    def parse(cls, template: str, *, what: str) -> TextTemplate:
        """Parse a template; ``what`` names its kind in messages.

        Raises:
            TypeError: What stands in braces is not a parameter, or an attribute or item of one.
        """
        try:
            parsed = list(Formatter().parse(template))
        except ValueError as error:
            raise TypeError(f"{what} template {template!r} is malformed: {error}") from None
        pieces: list[tuple[str, TemplateField | None]] = []
        for literal, name, spec, conversion in parsed:
            field = TemplateField.parse(name) if name is not None else None
            if name is not None and (spec or conversion or field is None):
                raise TypeError(
                    f"{what} template {template!r}: write {{parameter}}, {{parameter.attribute}} or "
                    "{parameter[item]}, nothing more inside the braces"
                )
            pieces.append((literal, field))
        return cls(template, tuple(pieces))

    @property
    def fields(self) -> tuple[TemplateField, ...]:
        """What stands in its braces, in order."""
        return tuple(field for _, field in self.pieces if field is not None)

    def render(self, arguments: Mapping[str, Any], text_of: Callable[[Any], str]) -> str:
        """The text for the arguments of a call; ``text_of`` escapes each value.

        Raises:
            TypeError: A field cannot be read, or its value has no such text.
        """
        return "".join(
            literal + (text_of(field.value(arguments)) if field is not None else "")
            for literal, field in self.pieces
        )
