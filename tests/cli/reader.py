"""A backend in a process of its own: reads words and level lists through the cached functions.

``python reader.py LAST_ID PAGE LEVEL...`` reads the ids from 1 to LAST_ID and every page of the levels, and
prints how many were hits and which differ from what the database says. Of the single words it asks the
database for every fifth only; the pages hold them all. Every word is looked up by its spelling, too. Needs
LANGCACHE_STATS_FLUSH_SECONDS to be long.
"""

import asyncio
import json
import os
import sys

from langcache_cli.caching import close_redis_client, get_cache_stats, get_default_cache
from langcache_cli.vocabulary import Database, find_vocabulary_word, get_vocabulary_level, get_vocabulary_word


async def read(last_id: int, page: int, levels: list[str]) -> dict[str, object]:
    cache = get_default_cache()
    differ: list[str] = []
    async with Database(os.environ["DATABASE_URL"]) as database, database.session() as db:
        for word_id in range(1, last_id + 1):
            if word_id % 5:
                await get_vocabulary_word(word_id, db)
            else:
                await compare(get_vocabulary_word, (word_id, db), differ)
        for level in levels:
            offset = 0
            while await compare(get_vocabulary_level, (level, page, offset, db), differ):
                offset += page
        for word_id in range(1, last_id + 1):
            word = await get_vocabulary_word.uncached(word_id, db)
            found = await find_vocabulary_word(word.word, word.language, db)
            differ += [] if found == word else [word.word]
        hits = {
            function.__name__: cache.statistics_of(function)["hits"]
            for function in (get_vocabulary_word, find_vocabulary_word, get_vocabulary_level)
        }
        stats = await get_cache_stats()
    await close_redis_client()
    return {"hits": hits, "all_hits": stats["hits"], "misses": stats["misses"], "differ": differ}


async def compare(function, arguments: tuple[object, ...], differ: list[str]) -> object:
    found, expected = await function(*arguments), await function.uncached(*arguments)
    if repr(found) != repr(expected) or type(found) is not type(expected) or found != expected:
        differ.append(function.key_for(*arguments))
    return len(expected) == arguments[1] if isinstance(expected, list) else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(read(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))))
