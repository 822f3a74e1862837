"""What there is to warm: the words of each language and level, streamed in batches of ids."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from langcache_cli.vocabulary.database import Database
from langcache_cli.vocabulary.words import LEVELS, vocabulary_words

WORDS_PER_BATCH = 500
"""Enough to make round trips cheap, few enough that a batch's leases outlast its query."""


@dataclass(frozen=True, slots=True)
class Group:
    """The words of one language and level.

    Attributes:
        language: ISO 639-1 code.
        level: One of `LEVELS`; None for words that have none.
        words: How many there are.
    """

    language: str
    level: str | None
    words: int


async def groups(
    database: Database, *, languages: Collection[str] = (), levels: Collection[str] = ()
) -> list[Group]:
    """The groups that the database has, by language and level; empty filters let everything through."""
    table = vocabulary_words.c
    query = select(table.language, table.difficulty_level, func.count()).group_by(
        table.language, table.difficulty_level
    )
    if languages:
        query = query.where(table.language.in_(languages))
    if levels:
        query = query.where(table.difficulty_level.in_(levels))
    async with database.session() as session:
        found = [Group(*row) for row in await session.execute(query)]
    order = {level: number for number, level in enumerate(LEVELS)}
    return sorted(
        found, key=lambda group: (group.language, order.get(group.level or "", len(order)), str(group.level))
    )


async def id_batches(database: Database, group: Group) -> AsyncIterator[list[int]]:
    """The ids of a group, a batch at a time; never the whole table in memory."""
    table = vocabulary_words.c
    of_group: ColumnElement[bool] = (table.language == group.language) & (
        table.difficulty_level.is_(None) if group.level is None else table.difficulty_level == group.level
    )
    last = None
    while True:
        query = select(table.id).where(of_group).order_by(table.id).limit(WORDS_PER_BATCH)
        async with database.session() as session:
            ids = list(await session.scalars(query if last is None else query.where(table.id > last)))
        if not ids:
            return
        yield ids
        last = ids[-1]
