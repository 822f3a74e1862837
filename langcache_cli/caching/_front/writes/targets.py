"""What a function that writes invalidates: entries of cached functions, tags, patterns and types.

Each target is checked when the module is imported, and rendered for the arguments of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any, Protocol

from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.cached_many import CachedMany
from langcache_cli.caching._front.sync.cached_sync_function import CachedSyncFunction
from langcache_cli.caching._front.writes.where import Where
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.builder import listed
from langcache_cli.caching._keys.key_template import KeyTemplate
from langcache_cli.caching._keys.owning_class import is_kind_of
from langcache_cli.caching._keys.tags import tag_text
from langcache_cli.caching._keys.template_field import TemplateField
from langcache_cli.caching._keys.text_template import TextTemplate

Writers = CachedFunction[Any, Any] | CachedMany[Any, Any] | CachedSyncFunction[Any, Any] | Where
"""What can be given to `invalidates` by position."""

RESULT = "result"
"""What a template calls the returned value."""

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_PLAIN_TYPES = frozenset({"int", "str", "float", "bool", "bytes", "UUID"})


@dataclass(slots=True)
class Named:
    """Names of what is to be invalidated, each once and in order."""

    keys: dict[str, None] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    patterns: dict[str, None] = field(default_factory=dict)
    types: dict[str, None] = field(default_factory=dict)

    def __or__(self, other: Named) -> Named:
        return Named(
            self.keys | other.keys,
            self.tags | other.tags,
            self.patterns | other.patterns,
            self.types | other.types,
        )


class Target(Protocol):
    """One thing to invalidate."""

    @property
    def fields(self) -> Sequence[TemplateField]:
        """What it takes from the arguments of the writer, or from what that returned."""
        ...

    def add_to(self, named: Named, arguments: Mapping[str, Any]) -> None:
        """Add its names for one call.

        Raises:
            TypeError: A field cannot be read, or cannot be part of a name.
        """
        ...


@dataclass(frozen=True, slots=True)
class TagTarget:
    """A tag."""

    template: KeyTemplate

    @property
    def fields(self) -> Sequence[TemplateField]:
        """See `Target`."""
        return self.template.fields

    def add_to(self, named: Named, arguments: Mapping[str, Any]) -> None:
        """See `Target`."""
        texts = {one.text: tag_text(one.value(arguments), one.text) for one in self.fields}
        named.tags[self.template.render(texts)] = None


@dataclass(frozen=True, slots=True)
class PatternTarget:
    """A pattern. What an argument has for a text matches only itself."""

    template: TextTemplate

    @property
    def fields(self) -> Sequence[TemplateField]:
        """See `Target`."""
        return self.template.fields

    def add_to(self, named: Named, arguments: Mapping[str, Any]) -> None:
        """See `Target`."""
        named.patterns[self.template.render(arguments, argument_text)] = None


@dataclass(frozen=True, slots=True)
class TypeTarget:
    """A cache type."""

    template: TextTemplate

    @property
    def fields(self) -> Sequence[TemplateField]:
        """See `Target`."""
        return self.template.fields

    def add_to(self, named: Named, arguments: Mapping[str, Any]) -> None:
        """See `Target`."""
        named.types[self.template.render(arguments, tag_text)] = None


class FunctionTarget:
    """The entry of a cached function, or of a method for all classes that have it."""

    def __init__(self, given: Writers, name: str, parameters: Mapping[str, Parameter]) -> None:
        """Find out where the arguments of the cached function come from.

        Args:
            given: The function, perhaps with values for some of its parameters.
            name: The writer, for messages.
            parameters: Of the writer.

        Raises:
            TypeError: Its key has parameters that the writer does not have, or none that can be given by
                name.
        """
        function = given.function if isinstance(given, Where) else given
        values = given.values if isinstance(given, Where) else {}
        self.function: CachedFunction[Any, Any] | CachedMany[Any, Any] = _unwrapped(function)
        if not isinstance(self.function, CachedFunction | CachedMany):
            raise TypeError(
                f"{name}: @invalidates takes functions decorated with @cached, not {function!r}; "
                "write @invalidates(...) with parentheses, and tags=, patterns= or types= for anything else"
            )
        needed = self.function.key_parameters
        if unknown := values.keys() - needed.keys():
            raise TypeError(f"{name}: {listed(unknown)} is no part of the key of {self.function!r}")
        if missing := needed.keys() - values.keys() - parameters.keys():
            raise TypeError(
                f"{name}: it has no parameter {listed(missing)}, which the key of {self.function!r} needs; "
                f'say where it comes from, as .where({min(missing)}="{{...}}"), or give the entries a '
                "tag and write tags=(...) here"
            )
        odd = [one for one, parameter in needed.items() if parameter.kind not in _BY_NAME]
        if odd:
            raise TypeError(
                f"{name}: {listed(odd)} of {self.function!r} cannot be given by name: use tags=(...)"
            )
        self._constants = {one: value for one, value in values.items() if not _is_field(value)}
        fields = {one: str(values.get(one, f"{{{one}}}")) for one in needed if one not in self._constants}
        self._fields = {one: _field(text, name) for one, text in fields.items()}
        for one in needed.keys() - values.keys():
            _require_equal_types(name, one, parameters[one], needed[one], self.function)

    def __repr__(self) -> str:
        return repr(self.function)

    @property
    def fields(self) -> Sequence[TemplateField]:
        """See `Target`."""
        return [*self._fields.values()]

    def add_to(self, named: Named, arguments: Mapping[str, Any]) -> None:
        """See `Target`."""
        values = {name: one.value(arguments) for name, one in self._fields.items()}
        self._require_instance(values)
        named.keys.update(dict.fromkeys(self.function.all_keys(**self._constants, **values)))

    def _require_instance(self, values: Mapping[str, Any]) -> None:
        """Check that a key which has something of an instance gets one of its class.

        Raises:
            TypeError: It is of another class, such as that of the writer.
        """
        keys = self.function.spec.keys
        if keys.uses_instance and keys.first in values and keys.home is not None:
            given = values[keys.first]
            if not is_kind_of(given if isinstance(given, type) else type(given), keys.home):
                raise TypeError(
                    f"the key of {self.function!r} has something of its {keys.first!r}, which cannot be a "
                    f'{type(given).__qualname__}: say where it is, as .where({keys.first}="{{...}}")'
                )


def targets(
    function: Callable[..., Any],
    parameters: Mapping[str, Parameter],
    functions: Iterable[Writers],
    *,
    tags: Sequence[str],
    patterns: Sequence[str],
    types: Sequence[str],
) -> list[Target]:
    """Everything that a function invalidates. See `Cache.invalidates`.

    Raises:
        TypeError: There is nothing, or something cannot be found in ``parameters``.
    """
    name = name_of(function)
    for option, given in (("tags", tags), ("patterns", patterns), ("types", types)):
        if isinstance(given, str):
            raise TypeError(f"{name}: {option} must be a sequence of templates: write {option}=({given!r},)")
    try:
        found: list[Target] = [
            *(FunctionTarget(one, name, parameters) for one in functions),
            *(TagTarget(KeyTemplate.parse(one, what="tag")) for one in tags),
            *(PatternTarget(TextTemplate.parse(one, what="pattern")) for one in patterns),
            *(TypeTarget(TextTemplate.parse(one, what="type")) for one in types),
        ]
    except TypeError as error:
        raise TypeError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    if not found:
        raise TypeError(f"{name}: @invalidates needs functions, tags=, patterns= or types=")
    known = {*parameters, RESULT}
    if unknown := {one.parameter for target in found for one in target.fields} - known:
        raise TypeError(f"{name}: @invalidates names {listed(unknown)}, which it does not take")
    return found


def _unwrapped(function: Any) -> Any:
    """A cached function behind ``@classmethod`` or ``@staticmethod``, as it is inside its class."""
    inner = function.__func__ if isinstance(function, classmethod | staticmethod) else function
    inner = getattr(inner, "cached", inner)  # of a cached route
    return inner.on_loop if isinstance(inner, CachedSyncFunction) else inner


def _is_field(value: object) -> bool:
    return isinstance(value, str) and value.startswith("{") and value.endswith("}")


def _field(text: str, name: str) -> TemplateField:
    parsed = TemplateField.parse(text[1:-1])
    if parsed is None:
        raise TypeError(f"{name}: {text!r} is not a parameter, or an attribute or item of one")
    return parsed


def _require_equal_types(name: str, one: str, mine: Parameter, its: Parameter, function: object) -> None:
    """Refuse ``word_id: str`` for ``word_id: int``: ``"7"`` and 7 have keys of their own.

    Raises:
        TypeError: Both annotations are plain types, and differ.
    """
    kinds = [_type_name(parameter.annotation) for parameter in (mine, its)]
    if kinds[0] != kinds[1] and _PLAIN_TYPES.issuperset(kinds):
        raise TypeError(
            f"{name}: its {one!r} is of type {kinds[0]}, that of {function!r} of type {kinds[1]}: they have "
            "different keys"
        )


def _type_name(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, for messages."""
    name = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{name}" if name is not None else repr(function)
