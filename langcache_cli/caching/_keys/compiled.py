"""Building the keys of a function with code made for it once: no binding of arguments, no dictionaries.

What the code cannot make out it leaves to `FunctionSpec.address`, which gives the same keys and says what
is wrong with arguments that have none.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter
from typing import Any

from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.builder import MAX_KEY_BYTES, KeyBuilder, KeyTemplate, shorten
from langcache_cli.caching._keys.tags import KeyAndTags, TagTemplates, printable, tag_stem, tag_text

_MISSING = object()
_SHORT_INT = 2**63
"""Beyond it ints may be too long to be written in decimal."""


def compile_names(keys: KeyBuilder, tags: TagTemplates, namespace: str) -> Callable[..., KeyAndTags] | None:
    """Make a function that takes the arguments of a call and returns the names of what it looks up.

    It raises `TypeError` for arguments that it cannot make out, with a message that helps nobody.

    Returns:
        None if the function takes any number of arguments, for which it pays to bind them in order.
    """
    parameters = list(keys.signature.parameters.values())
    if any(parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for parameter in parameters):
        return None
    helper = "_"
    while any(parameter.name.startswith(helper) for parameter in parameters):
        helper += "_"
    source = _Source(helper)
    lines = [
        f"def {helper}names({source.signature(parameters)}):",
        *(f"    if {name} is {helper}missing: raise TypeError" for name in sorted(keys.required)),
        *source.name("key", _key_template(keys, namespace), source.argument, "shorten"),
    ]
    names = [f"{helper}key"]
    for number, template in enumerate(tags.templates):
        pieces = ((tag_stem(namespace), None), *template.pieces)
        lines += source.name(f"tag{number}", pieces, source.tag_text, "printable")
        names.append(f"{helper}tag{number}")
    lines.append(f"    return ({', '.join(names)},)")
    scope: dict[str, Any] = {
        f"{helper}missing": _MISSING,
        f"{helper}text": argument_text,
        f"{helper}tag_text": tag_text,
        f"{helper}shorten": shorten,
        f"{helper}printable": printable,
        **{f"{helper}default_{item.name}": item.default for item in parameters},
    }
    exec("\n".join(lines), scope)  # noqa: S102 - made of identifiers and escaped text
    compiled: Callable[..., KeyAndTags] = scope[f"{helper}names"]
    return compiled


class _Source:
    """Pieces of the source text; names of its own begin with ``helper``, as no parameter does."""

    def __init__(self, helper: str) -> None:
        self._helper = helper

    def signature(self, parameters: list[Parameter]) -> str:
        """The parameters, all with defaults: those that are not part of the key may be left out."""
        written: list[str] = []
        positional_only = [item for item in parameters if item.kind is Parameter.POSITIONAL_ONLY]
        for item in parameters:
            if item.kind is Parameter.KEYWORD_ONLY and "*" not in written:
                written.append("*")
            without = item.default is Parameter.empty
            default = "missing" if without else f"default_{item.name}"
            written.append(f"{item.name}={self._helper}{default}")
            if positional_only and item is positional_only[-1]:
                written.append("/")
        return ", ".join(written)

    def name(
        self,
        variable: str,
        pieces: tuple[tuple[str, str | None], ...],
        expression: Callable[[str], str],
        finish: str,
    ) -> list[str]:
        """Lines that put a Redis key into a variable; what is long or not ASCII is finished by a helper."""
        text = "".join(
            _literal(literal) + (f"{{{expression(name)}}}" if name is not None else "")
            for literal, name in pieces
        )
        variable = f"{self._helper}{variable}"
        return [
            f'    {variable} = f"{text}"',
            f"    if len({variable}) > {MAX_KEY_BYTES} or not {variable}.isascii():",
            f"        {variable} = {self._helper}{finish}({variable})",
        ]

    def argument(self, name: str) -> str:
        """The text of an argument in a key."""
        is_short = f"type({name}) is int and {-_SHORT_INT} < {name} < {_SHORT_INT}"
        return f"{name} if {is_short} else {self._helper}text({name})"

    def tag_text(self, name: str) -> str:
        """The text of an argument in a tag."""
        return f"{name} if type({name}) is int or type({name}) is str else {self._helper}tag_text({name})"


def _key_template(keys: KeyBuilder, namespace: str) -> tuple[tuple[str, str | None], ...]:
    template = keys.template or KeyTemplate(
        tuple((":" if number else "", name) for number, name in enumerate(keys.in_key))
    )
    stem = f"{namespace}:{keys.stem}"
    return ((f"{stem}:", None), *template.pieces) if template.pieces else ((stem, None),)


def _literal(text: str) -> str:
    r"""Text inside an f-string with double quotes; ``\``, quotes and braces escaped."""
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return escaped.replace("{", "{{").replace("}", "}}")
