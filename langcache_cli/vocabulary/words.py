"""A word as the backend's table holds it, and as the cache hands it out."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
)
from sqlalchemy.types import UserDefinedType

LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
"""The levels of the Common European Framework, easiest first."""

metadata = MetaData()

vocabulary_words = Table(
    "vocabulary_words",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("word", String(100), nullable=False),
    Column("lemma", String(100), nullable=False),
    Column("language", String(5), nullable=False),
    Column("difficulty_level", String(10)),
    Column("part_of_speech", String(50)),
    Column("gender", String(10)),
    Column("translation_en", Text),
    Column("translation_native", Text),
    Column("pronunciation", String(200)),
    Column("notes", Text),
    Column("frequency_rank", Integer),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    UniqueConstraint("word", "language"),
)
"""The backend's table. It is only ever read, but for the bundled sample."""


@dataclass(frozen=True, slots=True)
class VocabularyWord:
    """One word.

    Attributes:
        id: Primary key.
        word: As it is written.
        lemma: Dictionary form.
        language: ISO 639-1 code, such as ``de``.
        difficulty_level: One of `LEVELS`.
        part_of_speech: ``noun``, ``verb`` ...
        gender: Of a noun: ``masculine``, ``feminine`` or ``neuter``.
        translation_en: In English.
        translation_native: In the learner's own language.
        pronunciation: In phonetic writing.
        notes: Anything else.
        frequency_rank: 1 is the most frequent word.
    """

    id: int
    word: str
    lemma: str
    language: str
    difficulty_level: str | None
    part_of_speech: str | None
    gender: str | None
    translation_en: str | None
    translation_native: str | None
    pronunciation: str | None
    notes: str | None
    frequency_rank: int | None


WORD_COLUMNS = tuple(vocabulary_words.c[field.name] for field in fields(VocabularyWord))
"""The columns of a `VocabularyWord`, in the order of its fields."""


class _Unspecified(UserDefinedType[str]):
    """A type that SQLAlchemy neither casts to nor replaces: the server infers it."""

    cache_ok = True


def same(column: Column[str], value: str | None) -> ColumnElement[bool]:
    """Whether a column has this value. The value takes the type of the column, which may be an enum."""
    return column.is_(None) if value is None else column == bindparam(None, value, type_=_Unspecified())
