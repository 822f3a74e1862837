"""The look-up of any number of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.lookup_batch import KEYS_PER_LOOKUP


async def values_of(server: Server, keys: Sequence[str], budget: Budget) -> list[bytes | CacheError | None]:
    """See `Store.values_of`."""
    if len(keys) <= KEYS_PER_LOOKUP:
        return await server.lookup_each(keys, budget=budget)
    portions = [keys[at : at + KEYS_PER_LOOKUP] for at in range(0, len(keys), KEYS_PER_LOOKUP)]
    asked = [server.lookup_each(portion, budget=budget) for portion in portions]
    # in a cluster one portion may have all its keys on nodes that are away, and another may not
    answers = await asyncio.gather(*asked, return_exceptions=server.is_cluster)
    found: list[bytes | CacheError | None] = []
    for portion, values in zip(portions, answers, strict=True):
        if isinstance(values, CacheError):
            found += [values] * len(portion)
        elif isinstance(values, BaseException):
            raise values
        else:
            found += values
    first = answers[0]
    if isinstance(first, CacheError) and all(isinstance(values, CacheError) for values in answers):
        raise first
    return found
