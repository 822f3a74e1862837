"""Tags: labels by which entries are invalidated together. Each tag is a Redis key that holds its version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from langcache_cli.caching._keys.key_template import KeyTemplate
from langcache_cli.caching._keys.shortening import shorten
from langcache_cli.caching._keys.template_field import TemplateField

KeyAndTags = tuple[str, ...]
"""The Redis key of an entry, followed by the Redis keys of its tags."""

MAX_TAGS = 64
"""Upper bound for the tags of one function; keeps the header of an entry within its maximum length."""

_PLAIN = (str, int, float, bool, NoneType, Enum, UUID, date, datetime, time, Decimal)


def tag_key(namespace: str, tag: str) -> str:
    """The Redis key that holds the version of a tag.

    It is outside the namespace, so that no pattern of entries matches it.
    """
    return encodable_key(f"{tag_prefix(namespace)}{tag}")


def tag_prefix(namespace: str) -> str:
    """The common prefix of the keys of all tags."""
    return f"{namespace}@tag:"


def is_tag_key(key: str) -> bool:
    """True for the key of a tag, of whatever namespace; False for that of an entry."""
    return key.partition(":")[0].endswith("@tag")


def encodable_key(key: str) -> str:
    """The key of a tag with lone surrogates escaped, which have no UTF-8 form, and its length limited."""
    return shorten(key.encode("utf-8", "backslashreplace").decode("utf-8"))


class TagTemplates:
    """The ``tags=`` of a function."""

    def __init__(self, templates: Iterable[str]) -> None:
        """Parse templates such as ``"word:{word_id}"``, or plain text such as ``"words"``.

        Raises:
            TypeError: A template is malformed, there are more than `MAX_TAGS`, or ``templates`` is a string.
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
        """The parameters in the templates."""
        return frozenset(name for template in self.templates for name in template.names)

    @property
    def fields(self) -> dict[str, TemplateField]:
        """What stands in the braces of the templates, by text."""
        return {field.text: field for template in self.templates for field in template.fields}

    def keys(self, namespace: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """The Redis keys of the tags of one call.

        Raises:
            TypeError: An argument is of a type that tags do not support.
        """
        texts = {text: tag_text(field.value(arguments), text) for text, field in self.fields.items()}
        return tuple(tag_key(namespace, template.render(texts)) for template in self.templates)


def tag_text(value: object, name: str = "") -> str:
    """The text of an argument in a tag: ``f"{value}"``, as callers of `invalidate_tags` write it.

    Unlike in keys nothing is escaped: arguments with the same text are invalidated together.

    Raises:
        TypeError: The argument is of a type that tags do not support.
    """
    if not isinstance(value, _PLAIN):
        raise TypeError(
            f"the argument {name!r} cannot be part of a tag: a value of type {type(value).__qualname__} "
            "has no plain text"
        )
    return f"{value}"


def tags_of_keys(templates: Sequence[str], in_key: Sequence[TemplateField], name: str) -> TagTemplates:
    """The tags of a function.

    Args:
        templates: The option of the decorator.
        in_key: What its key consists of.
        name: The function, for messages.

    Raises:
        TypeError: A template is malformed, or names what is not part of the key.
    """
    try:
        tags = TagTemplates(templates)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    unknown = [
        text for text, field in tags.fields.items() if not any(field.is_part_of(known) for known in in_key)
    ]
    if unknown:
        listed = ", ".join(map(repr, sorted(unknown)))
        raise TypeError(
            f"{name}: its tags name {listed}, which is not part of its key: "
            "calls that differ in it would share an entry"
        )
    return tags
