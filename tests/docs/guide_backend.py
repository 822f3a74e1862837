"""A backend as the guide of docs/migrating.md lays it out, with the lines of that page changed.

Names, signatures, prefixes, TTLs and patterns are those of the guide; all else is as small as it can be.
`services` and `application` define their functions when they are called, so each test has its own.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from langcache_cli.caching import (
    cached,
    close_redis_client,
    get_cache_stats,
    get_redis_client,
    invalidate_cache,
)

logger = logging.getLogger(__name__)

LEVELS = ("A1", "A2", "B1", "B2")


class Tables(DeclarativeBase):
    pass


class VocabularyWord(Tables):
    __tablename__ = "vocabulary_words"
    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str]
    difficulty_level: Mapped[str]


class UserVocabularyProgress(Tables):
    __tablename__ = "user_vocabulary_progress"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    word_id: Mapped[int]
    known: Mapped[bool]


class Word(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    word: str


class Payload(BaseModel):
    text: str
    source_lang: str
    target_lang: str


def services() -> SimpleNamespace:
    """The three services, and the texts that reached the translator."""
    translated: list[str] = []

    class VocabularyService:
        @cached(ttl=3600, key_prefix="vocabulary")
        async def get_vocabulary_word(self, word_id: int, db: AsyncSession) -> Word | None:
            result = await db.execute(select(VocabularyWord).where(VocabularyWord.id == word_id))
            row = result.scalar_one_or_none()
            return Word.model_validate(row) if row else None

        @cached(ttl=3600, key_prefix="vocabulary_level")
        async def get_vocabulary_level(
            self, level: str, limit: int, offset: int, db: AsyncSession
        ) -> list[Word]:
            query = select(VocabularyWord).where(VocabularyWord.difficulty_level == level)
            result = await db.execute(query.limit(limit).offset(offset))
            return [Word.model_validate(row) for row in result.scalars()]

        async def mark_word_known(self, user_id: int, word_id: int, known: bool, db: AsyncSession):
            db.add(UserVocabularyProgress(user_id=user_id, word_id=word_id, known=known))
            await db.commit()
            await invalidate_cache(f"cache:*vocabulary_progress*user:{user_id}*")
            await invalidate_cache(f"cache:*vocabulary_stats*user:{user_id}*")
            return {"success": True}

    class TranslationHandler:
        @cached(ttl=86400, key_prefix="translation")
        async def translate_text(self, text: str, source_lang: str, target_lang: str) -> str:
            translated.append(text)
            return f"{text} ({target_lang})"

        @cached(ttl=86400, key_prefix="batch_translation")
        async def translate_batch(self, texts: list[str], source_lang: str, target_lang: str) -> list[str]:
            translated.extend(texts)
            return [f"{text} ({target_lang})" for text in texts]

    class VocabularyProgressService:
        @cached(ttl=300, key_prefix="vocabulary_stats", key="user:{user_id}")
        async def get_user_vocabulary_stats(self, user_id: int, db: AsyncSession):
            query = select(UserVocabularyProgress).where(UserVocabularyProgress.user_id == user_id)
            records = (await db.execute(query)).scalars().all()
            return {"total_words": len(records), "known_words": sum(record.known for record in records)}

        async def update_word_progress(self, user_id: int, word_id: int, known: bool, db: AsyncSession):
            db.add(UserVocabularyProgress(user_id=user_id, word_id=word_id, known=known))
            await db.commit()
            await invalidate_cache(f"cache:*vocabulary_stats*:{user_id}*")

    return SimpleNamespace(
        vocabulary=VocabularyService(),
        translation=TranslationHandler(),
        progress=VocabularyProgressService(),
        translated=translated,
    )


async def warm_vocabulary_cache(vocabulary: Any, db: AsyncSession) -> None:
    """The guide's warming task."""
    for level in LEVELS:
        await vocabulary.get_vocabulary_level(level=level, limit=250, offset=0, db=db)


def application(found: SimpleNamespace, get_db: Callable[[], AsyncIterator[AsyncSession]]) -> FastAPI:
    """The application: lifespan, health page, videos, vocabulary, translation, and clearing by an admin."""
    router = APIRouter()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await get_redis_client()
        except Exception:
            logger.exception("Redis initialization failed")
        yield
        await close_redis_client()

    @router.get("/health/cache")
    async def cache_health():
        stats = await get_cache_stats()
        healthy = stats.get("enabled") and not stats.get("error")
        return {"status": "healthy" if healthy else "degraded", "stats": stats}

    @router.get("/series/{series}/episodes", name="list_episodes")
    @cached(ttl=1800, key_prefix="episodes")
    async def list_episodes(series: str):
        found.translated.append(series)
        return [{"id": 1, "title": f"{series} 1"}]

    @router.get("/api/vocabulary/library/level")
    async def read_level(level: str, db: Annotated[AsyncSession, Depends(get_db)]) -> list[Word]:
        return await found.vocabulary.get_vocabulary_level(level, 50, 0, db)

    @router.post("/api/translate")
    async def translate(payload: Payload) -> dict[str, str]:
        return {"translation": await found.translation.translate_text(**payload.model_dump())}

    @router.post("/admin/cache/clear", name="admin_clear_cache")
    async def clear_cache(cache_type: str = "all") -> dict[str, str]:
        await invalidate_cache("cache:*" if cache_type == "all" else f"cache:*{cache_type}*")
        return {"status": "success", "cache_type": cache_type}

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app
