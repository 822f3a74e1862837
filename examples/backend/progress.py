"""What each user knows: read at every page, changed by the user's own actions and by nobody else's.

A page of a level as a user sees it is put together from two entries: the page, which all users share, and
what this user knows. So a page is loaded once for all, and what one user does costs one user's entry.
"""

from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.backend.database import Session, known_words
from examples.backend.vocabulary import get_level
from langcache_cli.caching import after_commit, cached
from langcache_cli.vocabulary import VocabularyWord, vocabulary_words

router = APIRouter(prefix="/users", tags=["progress"])


@dataclass(frozen=True)
class UserStats:
    """How many words of each level a user knows."""

    user_id: int
    known: int
    by_level: dict[str, int]


@cached(key_prefix="user_stats", tags=("user:{user_id}",))
async def get_user_stats(user_id: int, db: AsyncSession) -> UserStats:
    """Count them."""
    level = vocabulary_words.c.difficulty_level
    query = (
        select(level, func.count())
        .join(known_words, known_words.c.word_id == vocabulary_words.c.id)
        .where(known_words.c.user_id == user_id)
        .group_by(level)
    )
    by_level = {name or "": count for name, count in await db.execute(query)}
    return UserStats(user_id, sum(by_level.values()), by_level)


@dataclass(frozen=True)
class WordOfUser:
    """A word, and whether a user knows it."""

    word: VocabularyWord
    known: bool


@cached(key_prefix="vocabulary_progress", tags=("user:{user_id}",))
async def get_known_words(user_id: int, db: AsyncSession) -> frozenset[int]:
    """The ids of the words that a user knows."""
    return frozenset(await db.scalars(select(known_words.c.word_id).where(known_words.c.user_id == user_id)))


async def get_level_of_user(
    user_id: int, level: str, limit: int, offset: int, db: AsyncSession
) -> list[WordOfUser]:
    """A page of a level with what the user knows of it; not cached itself, since both of its parts are."""
    page = await get_level(level, limit, offset, db)
    known = await get_known_words(user_id, db)
    return [WordOfUser(word, word.id in known) for word in page]


async def mark_known(user_id: int, word_id: int, db: AsyncSession) -> None:
    """Invalidates all of this user's entries when the transaction commits; user 4 never clears user 42."""
    after_commit(db, tags=[f"user:{user_id}"])
    try:
        await db.execute(insert(known_words).values(user_id=user_id, word_id=word_id))
        await db.commit()
    except IntegrityError:
        await db.rollback()  # it was known already


async def mark_unknown(user_id: int, word_id: int, db: AsyncSession) -> None:
    """The opposite."""
    after_commit(db, tags=[f"user:{user_id}"])
    of_user = known_words.c.user_id == user_id
    await db.execute(delete(known_words).where(of_user, known_words.c.word_id == word_id))
    await db.commit()


@router.get("/{user_id}/stats")
async def stats(user_id: int, db: Session) -> UserStats:
    """A user's numbers."""
    return await get_user_stats(user_id, db)


@router.get("/{user_id}/level/{level}")
async def level_of_user(
    user_id: int, level: str, db: Session, limit: int = 250, offset: int = 0
) -> list[WordOfUser]:
    """A page of a level, as this user sees it."""
    return await get_level_of_user(user_id, level, limit, offset, db)


@router.post("/{user_id}/known/{word_id}")
async def known(user_id: int, word_id: int, db: Session) -> UserStats:
    """The user knows a word now."""
    await mark_known(user_id, word_id, db)
    return await get_user_stats(user_id, db)


@router.delete("/{user_id}/known/{word_id}")
async def unknown(user_id: int, word_id: int, db: Session) -> UserStats:
    """The user has forgotten it."""
    await mark_unknown(user_id, word_id, db)
    return await get_user_stats(user_id, db)
