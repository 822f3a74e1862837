"""From a function and its arguments to one Redis key.

``{namespace}:{prefix}:{function}:{arg}:{arg}...``, arguments in signature order with defaults
filled in, so that ``f(1)`` and ``f(word_id=1)`` are one entry. `self`, `cls`, database sessions
and ignored names are left out.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from string import Formatter
from typing import Any

from langcache_cli.caching._config.settings import NAME
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.session_parameters import database_sessions

MAX_KEY_BYTES = 200
DIGEST_BYTES = 16
DIGEST_MARK = "%#"
"""Stands before a digest. No argument can contain it: there, '%' is always followed by two hex digits."""

_TEMPLATE_LITERAL = re.compile(r"[A-Za-z0-9_.:@-]*")


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """A parsed ``key=`` template: literal text and parameter names in turn."""

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, template: str, *, what: str = "key") -> KeyTemplate:
        """Parse ``"user:{user_id}"``.

        Raises:
            TypeError: Something other than a plain ``{parameter}``, unsafe literal text, or two
                parameters that are not separated by ``:`` (their values could run into each other).
        """
        pieces: list[tuple[str, str | None]] = []
        try:
            parsed = list(Formatter().parse(template))
        except ValueError as error:
            raise TypeError(f"{what} template {template!r} is malformed: {error}") from None
        for literal, name, spec, conversion in parsed:
            if not _TEMPLATE_LITERAL.fullmatch(literal):
                raise TypeError(
                    f"{what} template {template!r}: use only letters, digits and _.:@- around {{...}}"
                )
            if name is not None and (spec or conversion or not name.isidentifier()):
                raise TypeError(
                    f"{what} template {template!r}: write {{parameter}}, nothing more inside the braces"
                )
            if pieces and name is not None and ":" not in literal:
                raise TypeError(f"{what} template {template!r}: separate its parameters with ':'")
            pieces.append((literal, name))
        return cls(tuple(pieces))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that the template mentions."""
        return tuple(name for _, name in self.pieces if name is not None)

    def render(self, texts: Mapping[str, str]) -> str:
        """NearFill in the already escaped ``texts``."""
        return "".join(literal + (texts[name] if name is not None else "") for literal, name in self.pieces)


class KeyBuilder:
    """Builds the keys of one function."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        prefix: str,
        ignore: tuple[str, ...] = (),
        template: str | None = None,
    ) -> None:
        """Check everything that can be checked before the first call.

        Raises:
            TypeError: A bad prefix, a function without a name (``functools.partial``), or a template or
                ``ignore`` that names an unknown parameter.
        """
        if not re.fullmatch(NAME, prefix):
            raise TypeError(f"key_prefix {prefix!r}: use 1 to 64 letters, digits and _.-")
        if not hasattr(function, "__name__"):
            raise TypeError(f"{function!r} has no name to make keys of; decorate an 'async def' function")
        self.prefix = prefix
        self.function_name = function.__name__
        self.stem = f"{prefix}:{self.function_name}"
        signature = _signature(function)
        self.takes_instance = next(iter(signature.parameters), "") in ("self", "cls")
        self.signature = without_instance(signature) if self.takes_instance else signature
        parameters = self.signature.parameters
        unknown = set(ignore) - set(parameters)
        if unknown:
            raise TypeError(f"{self.function_name}() has no parameter {listed(unknown)} to ignore")
        self.template = KeyTemplate.parse(template) if template is not None else None
        self.sessions = database_sessions(function, parameters)
        if self.template:
            self.in_key = self.template.names
        else:
            left_out = {*ignore, *self.sessions}
            self.in_key = tuple(name for name in parameters if name not in left_out)
        unknown = set(self.in_key) - set(parameters)
        if unknown:
            raise TypeError(
                f"key template {template!r} names {listed(unknown)}, "
                f"which {self.function_name}() does not take"
            )

    @property
    def required(self) -> set[str]:
        """The parameters that are part of the key and have no default."""
        parameters = self.signature.parameters
        return {name for name in self.in_key if parameters[name].default is inspect.Parameter.empty}

    def key(self, namespace: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The key of a call.

        Parameters that are not part of the key may be missing, so that ``invalidate(word_id=7)``
        needs no session.

        Raises:
            TypeError: The arguments do not fit the signature, or one has no stable form.
        """
        return self.key_of(namespace, self.bind(args, kwargs))

    def key_of(self, namespace: str, arguments: Mapping[str, Any]) -> str:
        """The key of arguments that `bind` has put in order."""
        texts = {name: self._text(name, arguments[name]) for name in self.in_key}
        rest = self.template.render(texts) if self.template else ":".join(texts.values())
        return shorten(f"{namespace}:{self.stem}:{rest}" if rest else f"{namespace}:{self.stem}")

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults filled in; at least those of the key.

        Raises:
            TypeError: They do not fit the signature, or one that the key needs is missing.
        """
        try:
            bound = self.signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.function_name}(): {error}") from None
        bound.apply_defaults()
        missing = [name for name in self.in_key if name not in bound.arguments]
        if missing:
            raise TypeError(f"{self.function_name}() needs {listed(missing)} to know its key")
        return bound.arguments

    def _text(self, name: str, value: object) -> str:
        try:
            return argument_text(value)
        except TypeError as error:
            raise TypeError(
                f"{self.function_name}(): the argument {name!r} cannot be part of a key: {error}; "
                f"pass something simpler, or leave it out with ignore=({name!r},)"
            ) from None


def shorten(key: str) -> str:
    """Keep a key within 200 bytes: a readable head, then a 128-bit digest of the whole."""
    encoded = key.encode("utf-8")
    if len(encoded) <= MAX_KEY_BYTES:
        return key
    digest = blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()
    head = encoded[: MAX_KEY_BYTES - len(DIGEST_MARK) - len(digest)].decode("utf-8", "ignore")
    return head + DIGEST_MARK + digest


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in 3.14, where names may exist for type checkers only

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def without_instance(signature: inspect.Signature) -> inspect.Signature:
    """The signature of a method as whoever has the instance calls it."""
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def listed(names: Iterable[str]) -> str:
    """KeyAndTags for a message: ``'a', 'b'``."""
    return ", ".join(repr(name) for name in sorted(names))
