"""The Redis key of a call: ``{namespace}:{prefix}:{function}:{argument}:{argument}...``.

Arguments are in signature order with defaults filled in, so that ``f(1)`` and ``f(word_id=1)`` share an
entry. Not part of the key are ``self``, ``cls``, database sessions, responses, background tasks and ignored
parameters. A method that is called through a subclass of the class that defines it has the subclass in its
key.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from langcache_cli.caching._config.names import NAME_PATTERN
from langcache_cli.caching._keys.annotations import require_key_part, signature_of
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.framework_parameters import database_sessions, requests, written_to
from langcache_cli.caching._keys.key_template import KeyTemplate
from langcache_cli.caching._keys.owning_class import class_name, class_text, defining_class
from langcache_cli.caching._keys.shortening import shorten
from langcache_cli.caching._keys.template_field import TemplateField


class KeyBuilder:
    """Builds the keys of one function."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        prefix: str,
        ignore: tuple[str, ...] = (),
        template: str | Callable[..., object] | None = None,
    ) -> None:
        """Check everything that can be checked before the first call.

        Args:
            function: The decorated function.
            prefix: Its ``key_prefix``.
            ignore: Parameters that are not part of the key.
            template: Its ``key=``, which replaces the list of all arguments: a template, or a function of
                some of the parameters.

        Raises:
            TypeError: An invalid prefix, a function without a name (``functools.partial``), a template or
                ``ignore`` that names an unknown parameter, or a parameter that can never be part of a key.
        """
        if not re.fullmatch(NAME_PATTERN, prefix):
            raise TypeError(f"key_prefix {prefix!r}: use 1 to 64 letters, digits and _.-")
        if not hasattr(function, "__name__"):
            raise TypeError(f"{function!r} has no name to build keys from; decorate an 'async def' function")
        self.prefix = prefix
        self.function_name = function.__name__
        self.stem = f"{prefix}:{self.function_name}"
        self.home = defining_class(function)
        """The class in whose body the function is written; None for a plain function."""
        self.module = function.__module__
        signature = signature_of(function)
        self.first = first = next(iter(signature.parameters), "")
        self.instance = first if self.home and first in ("self", "cls") else None
        """The parameter that takes the instance or class of a method."""
        self._whole_signature = signature
        self.signature = without_instance(signature) if self.instance else signature
        parameters = self.signature.parameters
        if unknown := set(ignore) - set(parameters):
            raise TypeError(f"{self.function_name}() has no parameter {listed(unknown)} to ignore")
        self.template = KeyTemplate.parse(template) if isinstance(template, str) else None
        self.compute = template if callable(template) else None
        self.sessions = database_sessions(function, parameters)
        self.fields = self._fields_in_key({*ignore, *self.sessions, *written_to(function, parameters)})
        self.in_key = tuple(dict.fromkeys(field.parameter for field in self.fields))
        self.uses_instance = self.instance in self.in_key
        """True if the key has something of the instance: then it is an argument like any other."""
        if self.uses_instance:
            self.signature = signature
        self._require_parameters(template, function)

    def _fields_in_key(self, left_out: set[str]) -> tuple[TemplateField, ...]:
        if self.template is not None:
            return self.template.fields
        if self.compute is not None:
            return tuple(TemplateField(name, name, ()) for name in inspect.signature(self.compute).parameters)
        return tuple(
            TemplateField(name, name, ()) for name in self.signature.parameters if name not in left_out
        )

    def _require_parameters(self, template: object, function: Callable[..., Any]) -> None:
        parameters = self.signature.parameters
        if unknown := set(self.in_key) - set(parameters):
            raise TypeError(
                f"key template {template!r} names {listed(unknown)}, "
                f"which {self.function_name}() does not take"
            )
        if self.compute is not None:
            return
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        of_http = requests(function, parameters)
        if whole := [field.text for field in self.fields if field.text in of_http]:
            raise TypeError(
                f"{self.function_name}(): {whole[0]!r} is a request, which can never be part of a key; name "
                f'what the value depends on with key=, such as key="{{{whole[0]}.url.path}}", or list '
                f"{whole[0]!r} in ignore= if no value depends on it"
            )
        for field in self.fields:
            try:
                require_key_part(field, parameters[field.parameter], scope)
            except TypeError as error:
                raise TypeError(f"{self.function_name}(): {error}") from None

    def of_class(self, owner: type[Any]) -> Self:
        """The keys of the method that instances of ``owner`` have.

        The first parameter, which takes the instance, is not part of them. The name of ``owner`` is, unless
        it defines the method: the subclasses of one class do not share entries.
        """
        bound = copy.copy(self)
        parameters = list(self._whole_signature.parameters.values())
        takes_it = bool(parameters) and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL
        if takes_it and not self.uses_instance:
            bound.signature = without_instance(self._whole_signature)
            bound.fields = tuple(field for field in self.fields if field.parameter != self.first)
            bound.in_key = tuple(name for name in self.in_key if name != self.first)
            bound.instance = self.first
        if class_name(owner) != self.home:
            bound.stem = f"{self.stem}:{class_text(owner)}"
        return bound

    def as_plain_function(self) -> Self:
        """The keys of a static method: its first parameter is an argument, whatever its name."""
        plain = copy.copy(self)
        plain.signature, plain.instance = self._whole_signature, None
        if self.instance and not self.template and not self.compute:
            plain.fields = (TemplateField(self.instance, self.instance, ()), *self.fields)
            plain.in_key = (self.instance, *self.in_key)
        return plain

    @property
    def required(self) -> set[str]:
        """The parameters of the key that have no default."""
        parameters = self.signature.parameters
        return {name for name in self.in_key if parameters[name].default is inspect.Parameter.empty}

    def key(self, namespace: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The key of a call.

        Arguments that are not part of the key may be omitted: ``invalidate(word_id=7)`` needs no session.

        Raises:
            TypeError: The arguments do not match the signature, or one has no stable form.
        """
        return self.key_of(namespace, self.bind(args, kwargs))

    def key_of(self, namespace: str, arguments: Mapping[str, Any]) -> str:
        """The key of arguments as returned by `bind`."""
        if self.compute is not None:
            rest = self._computed(self.compute, arguments)
        else:
            texts = {field.text: self._text(field, arguments) for field in self.fields}
            rest = self.template.render(texts) if self.template else ":".join(texts.values())
        return shorten(f"{namespace}:{self.stem}:{rest}" if rest else f"{namespace}:{self.stem}")

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name with defaults filled in; those that are not part of the key may be absent.

        Raises:
            TypeError: They do not match the signature, or one that is part of the key is missing.
        """
        try:
            bound = self.signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.function_name}(): {error}") from None
        bound.apply_defaults()
        missing = [name for name in self.in_key if name not in bound.arguments]
        if missing:
            raise TypeError(f"{self.function_name}() needs {listed(missing)} to build its key")
        return bound.arguments

    def _text(self, field: TemplateField, arguments: Mapping[str, Any]) -> str:
        try:
            return argument_text(field.value(arguments))
        except TypeError as error:
            raise TypeError(
                f"{self.function_name}(): the argument {field.text!r} cannot be part of a key: {error}; "
                "pass something simpler, or name what the value depends on with key=, "
                f'such as key="{field.parameter}:{{{field.parameter}.id}}"'
            ) from None

    def _computed(self, compute: Callable[..., object], arguments: Mapping[str, Any]) -> str:
        """The end of a key that ``key=`` computes; a tuple has its items as its parts."""
        part = compute(**{name: arguments[name] for name in self.in_key})
        try:
            return ":".join(map(argument_text, part)) if type(part) is tuple else argument_text(part)
        except TypeError as error:
            raise TypeError(
                f"{self.function_name}(): what its key= returned cannot be part of a key: {error}"
            ) from None


def without_instance(signature: inspect.Signature) -> inspect.Signature:
    """The signature of a bound method: without its first parameter."""
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def listed(names: Iterable[str]) -> str:
    """Names in a message, sorted: ``'a', 'b'``."""
    return ", ".join(repr(name) for name in sorted(names))
