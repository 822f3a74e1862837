"""What the tests of `@invalidates` share."""

from dataclasses import dataclass

from tests.integration.cache_support import Database


async def stored(words: Database) -> set[int]:
    """The items that a call would hit. Their entries, and what is loaded for that, stay as they are."""
    before = words.reads.copy()
    with words.cache.traced() as trace:
        for item in (1, 2, 3, 4):
            await words.read(item)
    words.reads = before
    return {int(record.key.rpartition(":")[2]) for record in trace if record.outcome == "hit"}


@dataclass
class Word:
    id: int
    language: str = "de"
