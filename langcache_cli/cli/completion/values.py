"""The values of options and arguments: ``autocompletion=`` of typer. None of them asks a server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from langcache_cli.caching import CacheSettings

LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
PATHS = ("noop", "ping", "get", "hit", "miss", "database")
WINDOWS = ("5m", "1h", "6h", "24h", "7d")
FUNCTIONS = (
    "langcache_cli.vocabulary:get_vocabulary_word",
    "langcache_cli.vocabulary:find_vocabulary_word",
    "langcache_cli.vocabulary:get_vocabulary_level",
)
"""Tests compare these with where they are defined, which would take long to import."""

Values = Callable[[typer.Context, str], list[str]]


def one_of(*values: str) -> Values:
    """Offer fixed values."""

    def offered(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as typer calls it
        return _beginning(values, incomplete)

    return offered


levels = one_of(*LEVELS)
bench_paths = one_of(*PATHS)
windows = one_of(*WINDOWS)
watch_windows = one_of(*WINDOWS[1:])
functions = one_of(*FUNCTIONS)


def cache_types(ctx: typer.Context, incomplete: str) -> list[str]:
    """The cache types of the settings."""
    settings = _settings(ctx)
    return [] if settings is None else _beginning(settings.types, incomplete)


def key_prefixes(ctx: typer.Context, incomplete: str) -> list[str]:
    """How keys begin: ``cache:vocabulary:``."""
    return _prefixes(ctx, incomplete, "")


def patterns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Patterns of all keys of a prefix: ``cache:vocabulary:*``."""
    return _prefixes(ctx, incomplete, "*")


def commands(ctx: typer.Context, incomplete: str) -> list[str]:
    """The commands at the place that the words of ``langcache help`` have reached."""
    command: Any = ctx.find_root().command
    for word in ctx.params.get("command") or ():
        command = getattr(command, "commands", {}).get(word)
    return _beginning(getattr(command, "commands", {}), incomplete)


def _prefixes(ctx: typer.Context, incomplete: str, end: str) -> list[str]:
    settings = _settings(ctx)
    if settings is None:
        return []
    prefixes = [prefix for one in settings.types.values() for prefix in one.prefixes]
    return _beginning([f"{settings.namespace}:{prefix}:{end}" for prefix in prefixes], incomplete)


def _settings(ctx: typer.Context) -> CacheSettings | None:
    """Those of the command line so far; None if they are wrong."""
    given = ctx.find_root().params
    logging.disable()  # warnings would stand between the shell's own text
    try:
        from langcache_cli.caching import CacheSettings  # noqa: PLC0415 - see `running`
        from langcache_cli.caching.tooling import IMPLICIT  # noqa: PLC0415 - as above

        own = {} if given.get("namespace") is None else {"namespace": given["namespace"]}
        return CacheSettings.load(env_file=given.get("env_file") or IMPLICIT, **own)
    except Exception:  # noqa: BLE001 - whatever is wrong, a Tab is no place to say so
        return None
    finally:
        logging.disable(logging.NOTSET)


def _beginning(values: Iterable[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]
