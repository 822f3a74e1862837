"""What there is to warm: the words of each language and level, streamed in batches of ids."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from langcache_cli.vocabulary.database import Database
from langcache_cli.vocabulary.words import LEVELS, WORD_COLUMNS, VocabularyWord, same, vocabulary_words

WORDS_PER_BATCH = 1000
"""Enough to make round trips cheap, few enough that a batch's leases outlast its query."""

IDS_PER_QUERY = 20 * WORDS_PER_BATCH


@dataclass(frozen=True, slots=True)
class Group:
    """The words of one language and level.

    Attributes:
        language: ISO 639-1 code; None for words that have none.
        level: One of `LEVELS`; None for words that have none.
        words: How many there are.
    """

    language: str | None
    level: str | None
    words: int


async def groups(
    database: Database, *, languages: Collection[str] = (), levels: Collection[str] = ()
) -> list[Group]:
    """The groups that the database has, by language and level; empty filters let everything through.

    The filters are applied here: an enum type of PostgreSQL would refuse a level that it does not have.
    """
    table = vocabulary_words.c
    query = select(table.language, table.difficulty_level, func.count()).group_by(
        table.language, table.difficulty_level
    )
    async with database.session() as session:
        found = [Group(*row) for row in await session.execute(query)]
    order = {level: number for number, level in enumerate(LEVELS)}
    chosen = [
        group
        for group in found
        if (not languages or group.language in languages) and (not levels or group.level in levels)
    ]
    return sorted(
        chosen,
        key=lambda group: (
            group.language or "",
            order.get(group.level or "", len(order)),
            group.level or "",
        ),
    )


async def id_batches(
    database: Database, group: Group, *, size: int = WORDS_PER_BATCH
) -> AsyncGenerator[Sequence[int], None]:
    """The ids of a group in order, ``size`` of them at a time; never the whole table in memory."""
    column, last = vocabulary_words.c.id, None
    while True:
        query = select(column).where(_of(group)).order_by(column).limit(IDS_PER_QUERY)
        async with database.session() as session:
            ids = (await session.scalars(query if last is None else query.where(column > last))).all()
        for at in range(0, len(ids), size):
            yield ids[at : at + size]
        if len(ids) < IDS_PER_QUERY:
            return
        last = ids[-1]


async def words_of(database: Database, group: Group, ids: Sequence[int]) -> dict[int, VocabularyWord]:
    """The words with some ids of a group, in order: all that are still there, if in another group by now."""
    column = vocabulary_words.c.id
    query = select(*WORD_COLUMNS)
    async with database.session() as session:
        # a range, because naming a thousand ids takes longer; what lies in between is left aside
        ranged = query.where(_of(group), column.between(ids[0], ids[-1]))
        words = {row[0]: VocabularyWord(*row) for row in (await session.execute(ranged)).all()}
        if moved := [word_id for word_id in ids if word_id not in words]:
            rows = (await session.execute(query.where(column.in_(moved)))).all()
            words |= {row[0]: VocabularyWord(*row) for row in rows}
    return words


async def spellings_of(database: Database, group: Group, ids: Sequence[int]) -> dict[str, int]:
    """How the words with some ids of a group, in order, are spelt, and the id of each."""
    table = vocabulary_words.c
    query = select(table.word, table.id).where(_of(group), table.id.between(ids[0], ids[-1]))
    async with database.session() as session:
        return {row.word: row.id for row in await session.execute(query)}


def _of(group: Group) -> ColumnElement[bool]:
    table = vocabulary_words.c
    return same(table.language, group.language) & same(table.difficulty_level, group.level)
