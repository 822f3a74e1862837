"""Compiled key building: one generated function per decorated function, without binding its arguments.

It returns the keys that `KeyBuilder` and `TagTemplates` return. If it raises `TypeError`, call those: they
produce the error message.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter
from typing import Any

from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.builder import KeyBuilder
from langcache_cli.caching._keys.key_template import KeyTemplate
from langcache_cli.caching._keys.shortening import MAX_KEY_BYTES, shorten
from langcache_cli.caching._keys.tags import KeyAndTags, TagTemplates, encodable_key, tag_prefix, tag_text
from langcache_cli.caching._keys.template_field import TemplateField

_MISSING = object()
_SHORT_INT = 2**63
"""Ints outside +-2**63 take the slow path, which handles those too long for Python to write in decimal."""


def compile_keys(keys: KeyBuilder, tags: TagTemplates, namespace: str) -> Callable[..., KeyAndTags] | None:
    """Compile a function that takes the arguments of a call and returns the keys of its entry and its tags.

    The compiled function raises `TypeError`, without a useful message, for arguments it does not support.

    Returns:
        None if the function takes ``*args`` or ``**kwargs``, whose arguments must be bound for each call, or
        if it computes its key.
    """
    parameters = list(keys.signature.parameters.values())
    if any(parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for parameter in parameters):
        return None
    if keys.compute is not None:
        return None
    mark = "_"
    while any(parameter.name.startswith(mark) for parameter in parameters):
        mark += "_"
    source = _Source(mark)
    lines = [
        f"def {mark}keys({source.signature(parameters)}):",
        *(f"    if {name} is {mark}missing: raise TypeError" for name in sorted(keys.required)),
        *source.assign("key", _key_pieces(keys, namespace), source.argument, "shorten"),
    ]
    variables = [f"{mark}key"]
    for number, template in enumerate(tags.templates):
        pieces = ((tag_prefix(namespace), None), *template.pieces)
        lines += source.assign(f"tag{number}", pieces, source.tag_argument, "encodable_key")
        variables.append(f"{mark}tag{number}")
    lines.append(f"    return ({', '.join(variables)},)")
    if any(field.steps for field in (*keys.fields, *tags.fields.values())):
        # Properties of the application may raise anything.
        body = [f"    {line}" for line in lines[1:]]
        lines = [lines[0], "    try:", *body, "    except Exception: raise TypeError from None"]
    scope: dict[str, Any] = {
        f"{mark}missing": _MISSING,
        f"{mark}text": argument_text,
        f"{mark}tag_text": tag_text,
        f"{mark}shorten": shorten,
        f"{mark}encodable_key": encodable_key,
        **{f"{mark}default_{item.name}": item.default for item in parameters},
    }
    exec("\n".join(lines), scope)  # noqa: S102 - consists of identifiers and escaped text only
    compiled: Callable[..., KeyAndTags] = scope[f"{mark}keys"]
    return compiled


class _Source:
    """Generates source text. Its own names begin with ``mark``, which no parameter begins with."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def signature(self, parameters: list[Parameter]) -> str:
        """The parameter list. All have defaults: arguments that are not part of the key may be omitted."""
        written: list[str] = []
        positional_only = [item for item in parameters if item.kind is Parameter.POSITIONAL_ONLY]
        for item in parameters:
            if item.kind is Parameter.KEYWORD_ONLY and "*" not in written:
                written.append("*")
            without = item.default is Parameter.empty
            default = "missing" if without else f"default_{item.name}"
            written.append(f"{item.name}={self._mark}{default}")
            if positional_only and item is positional_only[-1]:
                written.append("/")
        return ", ".join(written)

    def assign(
        self,
        variable: str,
        pieces: tuple[tuple[str, str | None], ...],
        argument: Callable[[str], str],
        normalise: str,
    ) -> list[str]:
        """Lines that assign a Redis key to a variable.

        Args:
            variable: Its name, without the mark.
            pieces: The template of the key.
            argument: Returns the source text that formats a parameter.
            normalise: Name of the function that is called for keys that are long or not ASCII.
        """
        text = "".join(
            _literal(literal) + (f"{{{argument(field)}}}" if field is not None else "")
            for literal, field in pieces
        )
        variable = f"{self._mark}{variable}"
        return [
            f'    {variable} = f"{text}"',
            f"    if len({variable}) > {MAX_KEY_BYTES} or not {variable}.isascii():",
            f"        {variable} = {self._mark}{normalise}({variable})",
        ]

    def argument(self, name: str) -> str:
        """Source text that formats a field in a key."""
        if (field := TemplateField.parse(name)) is not None and field.steps:
            return f"{self._mark}text({field.source})"
        is_short = f"type({name}) is int and {-_SHORT_INT} < {name} < {_SHORT_INT}"
        return f"{name} if {is_short} else {self._mark}text({name})"

    def tag_argument(self, name: str) -> str:
        """Source text that formats a field in a tag."""
        if (field := TemplateField.parse(name)) is not None and field.steps:
            return f"{self._mark}tag_text({field.source})"
        return f"{name} if type({name}) is int or type({name}) is str else {self._mark}tag_text({name})"


def _key_pieces(keys: KeyBuilder, namespace: str) -> tuple[tuple[str, str | None], ...]:
    template = keys.template or KeyTemplate(
        tuple((":" if number else "", name) for number, name in enumerate(keys.in_key))
    )
    stem = f"{namespace}:{keys.stem}"
    return ((f"{stem}:", None), *template.pieces) if template.pieces else ((stem, None),)


def _literal(text: str) -> str:
    r"""Source text of ``text`` inside a double-quoted f-string, with ``\``, quotes and braces escaped."""
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return escaped.replace("{", "{{").replace("}", "}}")
