"""Subtitles: large, and expensive to generate, so the old ones are served while new ones are made."""

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from examples.backend.admin import require_admin
from examples.backend.database import Session
from examples.backend.vocabulary import get_level
from langcache_cli.caching import cached

router = APIRouter(prefix="/subtitles", tags=["subtitles"])

SECONDS_PER_LINE = 3


@cached(key_prefix="subtitles", stale_ttl=86400, tags=("word-lists",))
async def generate_subtitles(video: str, level: str, db: AsyncSession) -> str:
    """Subtitles in the SRT format: the words of a level, so they end with the lists of words."""
    words = await get_level(level, 250, 0, db)
    return f"0\n{_time(0)} --> {_time(0)}\n{video}\n\n" + "\n".join(
        f"{number}\n{_time(number - 1)} --> {_time(number)}\n{word.word} - {word.translation_en or ''}\n"
        for number, word in enumerate(words, start=1)
    )


def _time(line: int) -> str:
    minutes, seconds = divmod(line * SECONDS_PER_LINE, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02},000"


@router.get("/{video}")
async def subtitles(video: str, db: Session, level: str = "A1") -> str:
    """The subtitles of a video."""
    return await generate_subtitles(video, level, db)


@router.post("/{video}", dependencies=[Depends(require_admin)])
async def regenerate(video: str, db: Session, level: str = "A1") -> str:
    """Generate them again now."""
    return await generate_subtitles.refresh(video, level, db)
