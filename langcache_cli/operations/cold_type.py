"""What to type when a cache type that must be warm has too few entries."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from langcache_cli.caching import Cache, CacheError
from langcache_cli.caching.tooling import Namespace, scan

FILLED_BY_WARM: Final = "vocabulary"
"""The type that `langcache warm` fills from a database; an application fills the others."""

DRAWS: Final = 50
MOST_NAMED: Final = 3


async def advice(cache: Cache, name: str, *, has_database: bool, sample: bool) -> str:
    """What to type.

    Args:
        cache: Its type ``name`` has too few entries.
        name: A cache type, or a prefix of an application.
        has_database: ``DATABASE_URL`` is set, or the sample is asked for.
        sample: The sample is asked for.
    """
    settings = cache.settings
    if name not in settings.types:
        return f"{name} is no cache type of the settings, so it must be a prefix: see 'langcache types'."
    found: list[str] = []
    with suppress(CacheError):  # a missing right, for example: the rest of the advice holds
        found = await other_namespaces(cache)
    return _elsewhere(settings.namespace, found) + _warm(
        name, has_database=has_database, sample=sample, may_use_sample=settings.env != "prod"
    )


def _elsewhere(namespace: str, others: list[str]) -> str:
    if not others:
        return ""
    names = ", ".join(others[:MOST_NAMED])
    return (
        f"The namespace {namespace} is empty, and there are entries in {names}: check LANGCACHE_NAMESPACE "
        "and --namespace. "
    )


def _warm(name: str, *, has_database: bool, sample: bool, may_use_sample: bool) -> str:
    if name != FILLED_BY_WARM:
        return f"Run 'langcache warm --app MODULE:ATTRIBUTE', with an application that fills {name}."
    if has_database:
        return f"Run 'langcache warm {'--sample ' if sample else ''}--type {name}'."
    bundled = "'langcache warm --sample' for the bundled words, or " if may_use_sample else ""
    return (
        f"Run {bundled}'langcache warm --app MODULE:ATTRIBUTE' for an application's own; "
        "for a database set DATABASE_URL."
    )


async def other_namespaces(cache: Cache) -> list[str]:
    """Namespaces of other caches among keys drawn at random, if that of the settings has no key at all.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    from langcache_cli.operations.diagnosis.contents.elsewhere import ENTRY, owners  # noqa: PLC0415 - seldom needed

    settings, server = cache.settings, cache.runtime().server
    drawn = list[tuple[bytes, object]]()
    for node in await server.nodes():
        replies = await node.call_many([("RANDOMKEY",)] * DRAWS)
        keys = list(dict.fromkeys(reply for reply in replies if isinstance(reply, bytes)))
        heads = await node.call_many([("GETRANGE", key, 0, len(ENTRY) - 1) for key in keys]) if keys else []
        drawn += zip(keys, heads, strict=True)
    found = set(owners(drawn))
    if not found or settings.namespace in found:
        return []
    own = Namespace(settings.namespace, settings.types).matching(f"{settings.namespace}:*")
    async for _ in scan(server, own):
        return []
    return sorted(found)
