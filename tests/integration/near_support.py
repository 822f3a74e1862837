"""What the tests of entries in memory share: is an entry kept, and how often was it used?"""

import time

from langcache_cli.caching import Cache
from langcache_cli.caching._near.memory import NearMemory
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

SEEN_WITHIN_SECONDS = 1.0
"""Far more than it takes, for machines with something else to do."""


def near_of(cache: Cache) -> NearMemory:
    return cache.runtime().near().memory


async def warmed(database: Database, *items: int) -> None:
    """Have entries in the memory of this process."""
    for item in items:
        await aeventually(lambda item=item: kept(database, item))


async def kept(database: Database, item: int) -> bool:
    await database.read(item)
    near = database.cache.runtime().near()
    return near.get(database.read.key_for(item), time.monotonic()) is not None


async def sees(database: Database, version: int) -> bool:
    return await database.read(1) == [1, version]
