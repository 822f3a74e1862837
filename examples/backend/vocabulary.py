"""Words: looked up all day, edited by an administrator now and then."""

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from examples.backend.admin import require_admin
from examples.backend.database import Session
from langcache_cli.caching import after_commit, cached
from langcache_cli.vocabulary import VocabularyWord, find_vocabulary_word, vocabulary_words
from langcache_cli.vocabulary.words import WORD_COLUMNS

router = APIRouter(prefix="/vocabulary", tags=["vocabulary"])
words = vocabulary_words.c


@cached(key_prefix="vocabulary", tags=("word:{word_id}",))
async def get_word(word_id: int, db: AsyncSession) -> VocabularyWord | None:
    """One word; that there is none is cached as well."""
    row = (await db.execute(select(*WORD_COLUMNS).where(words.id == word_id))).one_or_none()
    return VocabularyWord(*row) if row else None


@cached(key_prefix="vocabulary_level", tags=("word-lists",))
async def get_level(
    level: str, limit: int, offset: int, db: AsyncSession, language: str = "de"
) -> list[VocabularyWord]:
    """The words of a level, the most frequent first."""
    query = (
        select(*WORD_COLUMNS)
        .where(words.difficulty_level == level, words.language == language)
        .order_by(words.frequency_rank, words.id)
    )
    return [VocabularyWord(*row) for row in await db.execute(query.limit(limit).offset(offset))]


@cached(key_prefix="vocabulary", tags=("word-lists",))
async def search_words(beginning: str, limit: int, db: AsyncSession) -> list[VocabularyWord]:
    """The words that begin like this."""
    query = select(*WORD_COLUMNS).where(words.lemma.istartswith(beginning, autoescape=True))
    return [
        VocabularyWord(*row) for row in await db.execute(query.order_by(words.lemma, words.id).limit(limit))
    ]


async def edit_word(word_id: int, translation_en: str, db: AsyncSession) -> bool:
    """Change a translation; False when there is no such word.

    One entry, all lists and all look-ups by spelling in its language are invalidated when the transaction
    commits, before the answer goes out.
    """
    edit = update(vocabulary_words).where(words.id == word_id).values(translation_en=translation_en)
    language = await db.scalar(edit.returning(words.language))
    after_commit(db, tags=[f"word:{word_id}", "word-lists", f"vocabulary:{language}"])
    await db.commit()
    return language is not None


@router.get("/search")
async def search(q: str, db: Session, limit: int = 20) -> list[VocabularyWord]:
    """Words that begin with ``q``."""
    return await search_words(q, limit, db)


@router.get("/word-info/{text}")
async def word_info(text: str, db: Session, language: str = "de") -> VocabularyWord:
    """A word as it stands in a subtitle."""
    found = await find_vocabulary_word(text, language, db)
    if found is None:
        raise HTTPException(404, "no such word")
    return found


@router.get("/level/{level}")
async def level(level: str, db: Session, limit: int = 250, offset: int = 0) -> list[VocabularyWord]:
    """A page of a level."""
    return await get_level(level, limit, offset, db)


@router.get("/{word_id}")
async def word(word_id: int, db: Session) -> VocabularyWord:
    """One word."""
    found = await get_word(word_id, db)
    if found is None:
        raise HTTPException(404, "no such word")
    return found


@router.put("/{word_id}", dependencies=[Depends(require_admin)])
async def edit(word_id: int, translation_en: str, db: Session) -> VocabularyWord:
    """Change a word's translation."""
    if not await edit_word(word_id, translation_en, db):
        raise HTTPException(404, "no such word")
    return await word(word_id, db)
