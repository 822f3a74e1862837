"""What each user knows: read at every page, changed by the user's own actions and by nobody else's."""

from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.backend.database import Session, known_words
from langcache_cli.caching import after_commit, cached
from langcache_cli.vocabulary import vocabulary_words

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


async def mark_known(user_id: int, word_id: int, db: AsyncSession) -> None:
    """Invalidates all of this user's entries when the transaction commits; user 4 never clears user 42."""
    after_commit(db, tags=[f"user:{user_id}"])
    try:
        await db.execute(insert(known_words).values(user_id=user_id, word_id=word_id))
        await db.commit()
    except IntegrityError:
        await db.rollback()  # it was known already


@router.get("/{user_id}/stats")
async def stats(user_id: int, db: Session) -> UserStats:
    """A user's numbers."""
    return await get_user_stats(user_id, db)


@router.post("/{user_id}/known/{word_id}")
async def known(user_id: int, word_id: int, db: Session) -> UserStats:
    """The user knows a word now."""
    await mark_known(user_id, word_id, db)
    return await get_user_stats(user_id, db)
