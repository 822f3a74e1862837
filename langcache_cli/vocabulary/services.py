"""The cached look-ups of the backend: one word, and the words of a level."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import cached
from langcache_cli.vocabulary.words import WORD_COLUMNS, VocabularyWord, same, vocabulary_words


@cached(key_prefix="vocabulary")
async def get_vocabulary_word(word_id: int, db: AsyncSession) -> VocabularyWord | None:
    """One word by its id; None when there is no such word."""
    return (await words_by_id([word_id], db)).get(word_id)


@cached(key_prefix="vocabulary_level")
async def get_vocabulary_level(
    level: str, limit: int, offset: int, db: AsyncSession, language: str = "de"
) -> list[VocabularyWord]:
    """The words of a level, most frequent first; words without a rank last, then by lemma.

    Args:
        level: One of `LEVELS`.
        limit: How many words.
        offset: How many to skip.
        db: Where to read.
        language: ISO 639-1 code.
    """
    table = vocabulary_words.c
    query = (
        select(*WORD_COLUMNS)
        .where(same(table.difficulty_level, level), same(table.language, language))
        # the id decides between equal words: pages must neither repeat nor lose one
        .order_by(table.frequency_rank.asc().nulls_last(), table.lemma, table.id)
        .limit(limit)
        .offset(offset)
    )
    return [VocabularyWord(*row) for row in await db.execute(query)]


async def words_by_id(word_ids: Sequence[int], db: AsyncSession) -> dict[int, VocabularyWord]:
    """Several words in one query, straight from the database."""
    query = select(*WORD_COLUMNS).where(vocabulary_words.c.id.in_(word_ids))
    return {row.id: VocabularyWord(*row) for row in await db.execute(query)}
