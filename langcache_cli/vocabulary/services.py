"""The cached look-ups of the backend: one word, by its id or as it is spelt, and the words of a level."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import cached
from langcache_cli.vocabulary.words import WORD_COLUMNS, VocabularyWord, same, vocabulary_words


@cached(key_prefix="vocabulary")
async def get_vocabulary_word(word_id: int, db: AsyncSession) -> VocabularyWord | None:
    """One word by its id; None when there is no such word."""
    return (await words_by_id([word_id], db)).get(word_id)


@cached(key_prefix="vocabulary", tags=("vocabulary:{language}",))
async def find_vocabulary_word(word: str, language: str, db: AsyncSession) -> VocabularyWord | None:
    """The word that is spelt like this; else one that differs in case only; else one with this lemma.

    A word that is added or renamed can change the answer for other spellings, and for those that were not
    found: ``await invalidate_tags("vocabulary:de")`` removes what was found, or not, in a language.

    Args:
        word: As it stands in a text.
        language: ISO 639-1 code.
        db: Where to read.
    """
    table = vocabulary_words.c
    of_language = select(*WORD_COLUMNS).where(same(table.language, language)).limit(1)
    # the exact spelling first and alone: it has an index, and is what is asked for nearly always
    if (
        row := (await db.execute(of_language.where(same(table.word, word)).order_by(table.id))).first()
    ) is not None:
        return VocabularyWord(*row)
    same_but_for_case = func.lower(table.word) == func.lower(word)
    query = of_language.where(same_but_for_case | (func.lower(table.lemma) == func.lower(word))).order_by(
        case((same_but_for_case, 0), else_=1), table.frequency_rank.asc().nulls_last(), table.id
    )
    row = (await db.execute(query)).first()
    return VocabularyWord(*row) if row is not None else None


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
