"""What a cached function is bound to: an instance, a class, or nothing.

A method that is reached through its class is given its instance as the first argument, and so is a class
method its class from Python 3.13 on, where `classmethod` no longer binds what it wraps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from langcache_cli.caching._keys.builder import KeyBuilder
from langcache_cli.caching._keys.owning_class import is_kind_of, loaded_class

Received = tuple[Any, tuple[Any, ...], Mapping[str, Any]]
"""An instance or class, and the other arguments of a call."""


class Binding(Enum):
    """What an access through an instance or a class binds a cached function to."""

    INSTANCE = "instance"
    CLASS = "class"
    NOTHING = "nothing"


class EqualIfBoundAlike:
    """Equality of what an access to a method makes, as Python's own methods have it.

    ``__func__`` is what was accessed, and ``__self__`` the instance or class; both are compared by identity.
    """

    def __eq__(self, other: object) -> bool:
        """True for two accesses to the method of one instance."""
        if not isinstance(other, type(self)) or "__self__" not in vars(self):
            return self is other
        mine, its = vars(self), vars(other)
        return mine["__self__"] is its.get("__self__", self) and mine["__func__"] is its["__func__"]

    def __hash__(self) -> int:
        mine = vars(self)
        return hash((id(mine["__self__"]), id(mine["__func__"]))) if "__self__" in mine else id(self)


def bound_class(instance: Any, home: str | None) -> type[Any]:
    """The class whose method is bound to ``instance``, which is itself a class for a class method."""
    kind = type(instance)
    return instance if isinstance(instance, type) and not is_kind_of(kind, home) else kind


def receiver(
    keys: KeyBuilder,
    owner: type[Any] | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    must_be_kind: bool = False,
) -> Received | None:
    """The instance or class among the arguments of a call of a method that is not bound.

    Args:
        keys: Of the function.
        owner: The class in which it was found, if any.
        args: Positional arguments.
        kwargs: Arguments by name.
        must_be_kind: Do not take an argument of another class for the instance, such as a test double.

    Returns:
        None if the function is a plain one or a static method.

    Raises:
        TypeError: There is none.
    """
    first = keys.first
    if args:
        candidate, args = args[0], args[1:]
    elif first in kwargs:
        candidate, kwargs = kwargs[first], {name: item for name, item in kwargs.items() if name != first}
    elif must_be_kind or is_static(keys, owner):
        return None
    else:
        raise TypeError(
            f"{keys.function_name}() is a method: call it on an instance, or pass {first!r} first"
        )
    kind = candidate if isinstance(candidate, type) else type(candidate)
    if is_kind_of(kind, keys.home) or (owner is not None and issubclass(kind, owner)):
        return candidate, args, kwargs
    if must_be_kind or is_static(keys, owner):
        return None
    if owner is None:
        raise TypeError(
            f"{keys.function_name}() is a class method: call it on its class; "
            "to use its other attributes, write @cached(...) above @classmethod"
        )
    return candidate, args, kwargs


def is_static(keys: KeyBuilder, owner: type[Any] | None) -> bool:
    """True for a function that never takes an instance.

    Neither `staticmethod` nor `classmethod` tells what it wraps of its class: the class has to be looked at.
    """
    if keys.home is None:
        return True
    if owner is not None:
        return False
    home = loaded_class(keys.home, keys.module)
    if home is None or keys.function_name not in vars(home):
        return keys.instance == "self"
    return isinstance(vars(home)[keys.function_name], staticmethod)


def home_and_subclasses(keys: KeyBuilder, owner: type[Any] | None) -> list[type[Any]]:
    """The class that defines a method, if it can be found, and all of its subclasses."""
    home = owner or (loaded_class(keys.home, keys.module) if keys.home else None)
    return [] if home is None else list(dict.fromkeys(_subclasses(home)))


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for one in type.__subclasses__(kind):
        yield from _subclasses(one)
