"""What stands in the braces of a template: a parameter, or an attribute or item of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FIELD = re.compile(r"([^\W\d]\w*)((?:\.[^\W\d]\w*|\[\w+\])*)")
_STEP = re.compile(r"\.(\w+)|\[(\w+)\]")


@dataclass(frozen=True, slots=True)
class TemplateField:
    """A parsed ``user``, ``user.id``, ``row[0]`` or ``row[name]``.

    Attributes:
        text: As it is written.
        parameter: The parameter.
        steps: Attributes (True and the name) and items (False and the key) from there.
    """

    text: str
    parameter: str
    steps: tuple[tuple[bool, str | int], ...]

    @classmethod
    def parse(cls, text: str) -> TemplateField | None:
        """The field; None if the text is not one."""
        match = _FIELD.fullmatch(text)
        if match is None:
            return None
        steps = [
            (True, attribute) if attribute else (False, int(item) if item.isdecimal() else item)
            for attribute, item in _STEP.findall(match[2])
        ]
        return cls(text, match[1], tuple(steps))

    @property
    def source(self) -> str:
        """Source text of an expression with its value."""
        return self.parameter + "".join(
            f".{name}" if is_attribute else f"[{name!r}]" for is_attribute, name in self.steps
        )

    def value(self, arguments: Mapping[str, Any]) -> Any:
        """Its value in the arguments of a call.

        Raises:
            TypeError: There is no such attribute or item, or reading it failed.
        """
        value = arguments[self.parameter]
        for is_attribute, name in self.steps:
            try:
                value = getattr(value, str(name)) if is_attribute else value[name]
            except Exception as error:  # noqa: BLE001 - runs properties of the application
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                raise TypeError(f"{self.text!r} cannot be read: {reason}") from None
        return value

    def is_part_of(self, other: TemplateField) -> bool:
        """True if equal values of ``other`` imply equal values of this field."""
        n_steps = len(other.steps)
        return self.parameter == other.parameter and self.steps[:n_steps] == other.steps
