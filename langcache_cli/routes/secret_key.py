"""The key of a route whose parameters hold what users authenticate with: it must not stand in Redis."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import Any

from langcache_cli.caching import argument_text


def key_with_digests(names: Collection[str], secret: Collection[str]) -> Callable[..., tuple[Any, ...]]:
    """A ``key=`` of all parameters, of which the secret ones are digests.

    Args:
        names: The parameters of the key, in order.
        secret: Those that must not be readable.
    """

    def key(**arguments: Any) -> tuple[Any, ...]:
        return tuple(_digest(arguments[name]) if name in secret else arguments[name] for name in names)

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    vars(key)["__signature__"] = inspect.Signature(parameters)
    return key


def _digest(value: Any) -> str | None:
    if value is None:
        return None
    return blake2b(argument_text(value).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
