"""Tags: labels by which entries are invalidated together, and the Redis keys of their versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from langcache_cli.caching._keys.builder import KeyTemplate, shorten

KeyAndTags = tuple[str, ...]
"""The Redis key of an entry, followed by the Redis keys of its tags."""

MAX_TAGS = 64
"""Upper bound for the tags of one function; keeps the header of an entry within its bytes."""

_PLAIN = (str, int, float, bool, NoneType, Enum, UUID, date, datetime, time, Decimal)


def tag_key(namespace: str, tag: str) -> str:
    """The Redis key that holds the version of a tag.

    It lies beside the namespace: no pattern of entries reaches it.
    """
    return printable(f"{tag_stem(namespace)}{tag}")


def tag_stem(namespace: str) -> str:
    """What the keys of all tags begin with."""
    return f"{namespace}@tag:"


def printable(key: str) -> str:
    """The key of a tag in characters that a Redis key can hold, and not too many of them."""
    return shorten(key.encode("utf-8", "backslashreplace").decode("utf-8"))


class TagTemplates:
    """The ``tags=`` of a function: what its entries are labelled with."""

    def __init__(self, templates: Iterable[str]) -> None:
        """Parse templates such as ``"word:{word_id}"``, or plain text such as ``"words"``.

        Raises:
            TypeError: A template is malformed, there are too many of them, or one string was given.
        """
        if isinstance(templates, str):
            raise TypeError(f"tags must be a sequence of templates: write tags=({templates!r},)")
        self.templates = tuple(KeyTemplate.parse(template, what="tag") for template in templates)
        if len(self.templates) > MAX_TAGS:
            raise TypeError(f"a function can have {MAX_TAGS} tags, not {len(self.templates)}")

    def __bool__(self) -> bool:
        return bool(self.templates)

    @property
    def names(self) -> frozenset[str]:
        """The parameters that the templates mention."""
        return frozenset(name for template in self.templates for name in template.names)

    def keys(self, namespace: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """The Redis keys of the tags of one call.

        Raises:
            TypeError: An argument has no plain text.
        """
        texts = {name: tag_text(arguments[name], name) for name in self.names}
        return tuple(tag_key(namespace, template.render(texts)) for template in self.templates)


def tag_text(value: object, name: str = "") -> str:
    """The argument as ``f"{value}"`` writes it, because that is how `invalidate_tags` is told of it.

    Unlike in keys nothing is escaped: two tags that come out the same are invalidated with each other.
    """
    if not isinstance(value, _PLAIN):
        raise TypeError(
            f"the argument {name!r} cannot be part of a tag: a value of type {type(value).__qualname__} "
            "has no plain text"
        )
    return f"{value}"
