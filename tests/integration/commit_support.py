"""What the tests of `after_commit` share: writing, and asking which entries are gone."""

import itertools

from sqlalchemy import text

numbers = itertools.count()


async def write(session) -> None:
    await session.execute(text(f"INSERT INTO words VALUES ({next(numbers)})"))


async def gone(words) -> set[int]:
    """The entries that were invalidated."""
    runtime = words.cache.runtime()
    found = {}
    for item in (1, 2, 3, 4):
        address = words.read.address(item=item)
        stored, *tags = await runtime.server.lookup((address.key, *address.tag_keys))
        found[item] = stored is not None and None not in tags
    return {item for item, there in found.items() if not there}


async def invalidate(words, session, *items: int) -> None:
    """Ask for it; then the entries are stored again, as by readers who come before the commit."""
    words.cache.after_commit(session, *(words.read.key_for(item=item) for item in items))
    await reload(words, *items)


async def reload(words, *items: int) -> None:
    if words.cache.enabled:
        await words.cache.runtime().background.finish(10)
    for item in items:
        await words.read(item)
