"""Compiled key building: one generated function per decorated function, without binding its arguments.

It returns the keys that `KeyBuilder` and `TagTemplates` return. If it raises `TypeError`, call those: they
produce the error message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, NamedTuple

from langcache_cli.caching._keys.argument_text import SHORT_INT, are_plain, argument_text, is_plain_word
from langcache_cli.caching._keys.builder import KeyBuilder
from langcache_cli.caching._keys.key_template import KeyTemplate
from langcache_cli.caching._keys.shortening import MAX_KEY_BYTES, shorten
from langcache_cli.caching._keys.tags import KeyAndTags, TagTemplates, encodable_key, tag_prefix, tag_text
from langcache_cli.caching._keys.template_field import TemplateField

_MISSING = object()


def compile_keys(keys: KeyBuilder, tags: TagTemplates, namespace: str) -> Callable[..., KeyAndTags] | None:
    """Compile a function that takes the arguments of a call and returns the keys of its entry and its tags.

    The compiled function raises `TypeError`, without a useful message, for arguments it does not support.

    Returns:
        None if the function takes ``*args`` or ``**kwargs``, whose arguments must be bound for each call, or
        if it computes its key.
    """
    source = _source(keys)
    if source is None:
        return None
    mark, parameters = source.mark, source.parameters
    lines = [
        f"def {mark}keys({source.signature(parameters)}):",
        *(f"    if {name} is {mark}missing: raise TypeError" for name in sorted(keys.required)),
        *source.assign(source.key(keys, namespace)),
    ]
    variables = [f"{mark}key"]
    for tag in source.tags(tags, namespace):
        lines += source.assign(tag)
        variables.append(f"{mark}{tag.variable}")
    lines.append(f"    return ({', '.join(variables)},)")
    compiled: Callable[..., KeyAndTags] = source.compiled(lines, keys, tags)
    return compiled


KeysOfItems = Callable[..., tuple[list[str], list[tuple[str, ...]] | None]]
"""From items and the arguments that they share to the key of each item and the keys of its tags."""


def compile_keys_of_items(
    keys: KeyBuilder, tags: TagTemplates, namespace: str, item: str
) -> KeysOfItems | None:
    """`compile_keys` for many calls that differ in one parameter: what the others contribute is made once.

    Args:
        keys: Of the function.
        tags: Of the function.
        namespace: Of the cache.
        item: The parameter that takes an item.

    Returns:
        A function that takes the items and then the other arguments; None as for `compile_keys`, or if
        ``item`` cannot be passed by name.
    """
    source = _source(keys)
    if source is None or keys.signature.parameters[item].kind is Parameter.POSITIONAL_ONLY:
        return None
    mark, loop = source.mark, _Loop(source, item)
    loop.assign(source.key(keys, namespace))
    loop.add(f"{mark}found.append({mark}key)")
    for tag in source.tags(tags, namespace):
        loop.assign(tag)
    if tags:
        loop.collect_tags(len(tags.templates))
    shared = [parameter for parameter in source.parameters if parameter.name != item]
    lines = [
        f"def {mark}keys({mark}items, {source.signature(shared)}):",
        *(f"    if {name} is {mark}missing: raise TypeError" for name in sorted(keys.required - {item})),
        f"    {mark}found, {mark}tags = [], {'[]' if tags else None}",
        *loop.once,
        *loop.lines(),
        f"    return {mark}found, {mark}tags",
    ]
    compiled: KeysOfItems = source.compiled(lines, keys, tags)
    return compiled


def _source(keys: KeyBuilder) -> _Source | None:
    parameters = list(keys.signature.parameters.values())
    if any(parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for parameter in parameters):
        return None
    return _Source(parameters) if keys.compute is None else None


class _Assigned(NamedTuple):
    """A Redis key that source text assigns to a variable.

    Attributes:
        variable: Its name, without the mark.
        pieces: The template of the key.
        argument: Returns the source text that formats a parameter.
        normalise: Name of the function that is called for keys that are long or not ASCII.
    """

    variable: str
    pieces: tuple[tuple[str, str | None], ...]
    argument: Callable[[str], str]
    normalise: str


class _Source:
    """Generates source text. Its own names begin with ``mark``, which no parameter begins with."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        self.mark = "_"
        while any(parameter.name.startswith(self.mark) for parameter in parameters):
            self.mark += "_"

    def compiled(self, lines: list[str], keys: KeyBuilder, tags: TagTemplates) -> Any:
        """The function of some lines of source text, ``{mark}keys``."""
        mark = self.mark
        if any(field.steps for field in (*keys.fields, *tags.fields.values())):
            # Properties of the application may raise anything.
            body = [f"    {line}" for line in lines[1:]]
            lines = [lines[0], "    try:", *body, "    except Exception: raise TypeError from None"]
        scope: dict[str, Any] = {
            f"{mark}missing": _MISSING,
            f"{mark}plain": is_plain_word,
            f"{mark}are_plain": are_plain,
            f"{mark}text": argument_text,
            f"{mark}tag_text": tag_text,
            f"{mark}shorten": shorten,
            f"{mark}encodable_key": encodable_key,
            **{f"{mark}default_{item.name}": item.default for item in self.parameters},
        }
        exec("\n".join(lines), scope)  # noqa: S102 - consists of identifiers and escaped text only
        return scope[f"{mark}keys"]

    def signature(self, parameters: Sequence[Parameter]) -> str:
        """The parameter list. All have defaults: arguments that are not part of the key may be omitted."""
        written: list[str] = []
        positional_only = [item for item in parameters if item.kind is Parameter.POSITIONAL_ONLY]
        for item in parameters:
            if item.kind is Parameter.KEYWORD_ONLY and "*" not in written:
                written.append("*")
            without = item.default is Parameter.empty
            default = "missing" if without else f"default_{item.name}"
            written.append(f"{item.name}={self.mark}{default}")
            if positional_only and item is positional_only[-1]:
                written.append("/")
        return ", ".join(written)

    def key(self, keys: KeyBuilder, namespace: str) -> _Assigned:
        """The key of the entry."""
        return _Assigned("key", _key_pieces(keys, namespace), self.argument, "shorten")

    def tags(self, tags: TagTemplates, namespace: str) -> list[_Assigned]:
        """The keys of the tags."""
        prefix = (tag_prefix(namespace), None)
        return [
            _Assigned(f"tag{number}", (prefix, *template.pieces), self.tag_argument, "encodable_key")
            for number, template in enumerate(tags.templates)
        ]

    def assign(self, assigned: _Assigned) -> list[str]:
        """Lines that assign a Redis key to a variable."""
        text = "".join(
            _literal(literal) + (f"{{{assigned.argument(field)}}}" if field is not None else "")
            for literal, field in assigned.pieces
        )
        variable = f"{self.mark}{assigned.variable}"
        return [
            f'    {variable} = f"{text}"',
            f"    if len({variable}) > {MAX_KEY_BYTES} or not {variable}.isascii():",
            f"        {variable} = {self.mark}{assigned.normalise}({variable})",
        ]

    def argument(self, name: str) -> str:
        """Source text that formats a field in a key."""
        if (field := TemplateField.parse(name)) is not None and field.steps:
            return f"{self.mark}text({field.source})"
        is_short = f"type({name}) is int and {-SHORT_INT} < {name} < {SHORT_INT}"
        is_plain = f"type({name}) is str and {self.mark}plain({name})"
        return f"{name} if {is_short} or {is_plain} else {self.mark}text({name})"

    def tag_argument(self, name: str) -> str:
        """Source text that formats a field in a tag."""
        if (field := TemplateField.parse(name)) is not None and field.steps:
            return f"{self.mark}tag_text({field.source})"
        return f"{name} if type({name}) is int or type({name}) is str else {self.mark}tag_text({name})"


class _Loop:
    """Source text of a loop over items: lines that run once, before it, and lines that run for each item.

    There are two loops, one of which runs: most items need no look at each, see `are_plain`.
    """

    def __init__(self, source: _Source, item: str) -> None:
        self.once: list[str] = []
        self._each: list[str] = []
        self._each_plain: list[str] = []
        self._source = source
        self._item = item
        self._tag_of_item = False

    def assign(self, assigned: _Assigned) -> None:
        """`_Source.assign`, before the loop if it does not depend on the item."""
        mark, item = self._source.mark, self._item
        groups = self._grouped(assigned)

        def expression(name: str) -> str:
            return name if name.startswith(mark) else assigned.argument(name)

        def plain_expression(name: str) -> str:
            return name if name == item else expression(name)

        grouped = assigned._replace(pieces=groups, argument=expression)
        lines = self._source.assign(grouped)
        if all(name is None or name.startswith(mark) for _, name in groups):
            self.once += lines
            return
        self._each += lines
        self._each_plain += self._source.assign(grouped._replace(argument=plain_expression))
        self._tag_of_item = self._tag_of_item or assigned.variable != "key"

    def add(self, line: str) -> None:
        """Run a line for each item."""
        self._each.append(f"    {line}")
        self._each_plain.append(f"    {line}")

    def collect_tags(self, count: int) -> None:
        """Collect the tags of each item: one object for all items if no tag depends on the item."""
        mark = self._source.mark
        made = f"{mark}tags_of_item = ({', '.join(f'{mark}tag{number}' for number in range(count))},)"
        if self._tag_of_item:
            self.add(made)
        else:
            self.once.append(f"    {made}")
        self.add(f"{mark}tags.append({mark}tags_of_item)")

    def lines(self) -> list[str]:
        """The loops."""
        mark, head = self._source.mark, f"for {self._item} in {self._source.mark}items:"
        return [
            f"    if {mark}are_plain({mark}items):",
            *(f"        {line}" for line in (head, *self._each_plain)),
            "    else:",
            *(f"        {line}" for line in (head, *self._each)),
        ]

    def _grouped(self, assigned: _Assigned) -> tuple[tuple[str, str | None], ...]:
        """The pieces with variables in the place of text that all items share."""
        groups: list[tuple[str, str | None]] = []
        constant: list[tuple[str, str | None]] = []

        def end_group() -> None:
            if all(name is None for _, name in constant):
                groups.extend(constant)
            else:
                shared = assigned._replace(
                    variable=f"{assigned.variable}_{len(groups)}", pieces=tuple(constant)
                )
                self.once.append(self._source.assign(shared)[0])
                groups.append(("", f"{self._source.mark}{shared.variable}"))
            constant.clear()

        for literal, name in assigned.pieces:
            field = TemplateField.parse(name) if name is not None else None
            if field is not None and field.parameter == self._item:
                constant.append((literal, None))
                end_group()
                groups.append(("", name))
            else:
                constant.append((literal, name))
        end_group()
        return tuple(groups)


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
