"""Templates of keys and tags: literal text and ``{field}`` in turn, such as ``"user:{user_id}"``.

A field is a parameter, or an attribute or item of one: ``{current_user.id}``, ``{row[0]}``. Fields must be
separated by ``:``, which argument texts never contain: two calls cannot share a key.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter

from langcache_cli.caching._keys.template_field import TemplateField

_LITERAL = re.compile(r"[A-Za-z0-9_.:@-]*")


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """A parsed template.

    Attributes:
        pieces: Pairs of literal text and the field after it; None if the template ends with the text.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, template: str, *, what: str = "key") -> KeyTemplate:
        """Parse ``"user:{user_id}"``; ``what`` names the kind of template in messages.

        Raises:
            TypeError: A replacement field that is not a parameter or an attribute or item of one, unsafe
                literal text, or two fields that are not separated by ``:``.
        """
        pieces: list[tuple[str, str | None]] = []
        try:
            parsed = list(Formatter().parse(template))
        except ValueError as error:
            raise TypeError(f"{what} template {template!r} is malformed: {error}") from None
        for literal, name, spec, conversion in parsed:
            if not _LITERAL.fullmatch(literal):
                raise TypeError(
                    f"{what} template {template!r}: use only letters, digits and _.:@- around {{...}}"
                )
            if name is not None and (spec or conversion or TemplateField.parse(name) is None):
                raise TypeError(
                    f"{what} template {template!r}: write {{parameter}}, {{parameter.attribute}} or "
                    "{parameter[item]}, nothing more inside the braces"
                )
            if pieces and name is not None and ":" not in literal:
                raise TypeError(f"{what} template {template!r}: separate its parameters with ':'")
            pieces.append((literal, name))
        return cls(tuple(pieces))

    @property
    def fields(self) -> tuple[TemplateField, ...]:
        """What stands in its braces, in order."""
        parsed = (TemplateField.parse(name) for _, name in self.pieces if name is not None)
        return tuple(field for field in parsed if field is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters in the template, in order."""
        return tuple(dict.fromkeys(field.parameter for field in self.fields))

    def render(self, texts: Mapping[str, str]) -> str:
        """Replace each field by its text in ``texts``, which must be escaped already."""
        return "".join(literal + (texts[name] if name is not None else "") for literal, name in self.pieces)


def parameters_in(key: str | Callable[..., object]) -> tuple[str, ...]:
    """The parameters that a ``key=`` names.

    Raises:
        TypeError: The template is malformed.
    """
    return KeyTemplate.parse(key).names if isinstance(key, str) else tuple(inspect.signature(key).parameters)
