"""What is cached in every benchmark: a word of eleven fields, as a backend's typed function returns it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word of a dictionary."""

    id: int
    word: str
    lemma: str
    language: str
    level: str | None
    part_of_speech: str | None
    gender: str | None
    translation: str | None
    pronunciation: str | None
    notes: str | None
    frequency_rank: int


def word(word_id: int) -> Word:
    """The word of an id: always the same."""
    text = f"Beispielwort{word_id}"
    return Word(
        id=word_id,
        word=text,
        lemma=text.lower(),
        language="de",
        level="B1",
        part_of_speech="noun",
        gender="neuter",
        translation=f"example word {word_id}",
        pronunciation="ˈbaɪ̯ʃpiːlˌvɔʁt",
        notes=None,
        frequency_rank=word_id * 7,
    )


async def load(word_id: int) -> Word:
    """What every library caches. Hits are measured, so it costs nothing."""
    return word(word_id)
