"""A translation service that works offline: word by word, slow and limited like the real ones."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence

from langcache_cli.vocabulary import sample_rows

WORD = re.compile(r"\w+")
MINUTE_SECONDS = 60.0


class TooManyTranslationsError(Exception):
    """The service's limit for a minute is reached."""


class Translator:
    """Translates between German and English.

    Attributes:
        calls: How often the service was asked.
    """

    def __init__(self, *, delay_seconds: float, calls_per_minute: int) -> None:
        self.calls = 0
        self._delay_seconds = delay_seconds
        self._calls_per_minute = calls_per_minute
        self._recent: deque[float] = deque()
        pairs = [(row["word"], row["translation_en"]) for row in sample_rows() if row["translation_en"]]
        self._words = {
            ("de", "en"): {german.lower(): english for german, english in reversed(pairs)},
            ("en", "de"): {english.lower(): german for german, english in reversed(pairs)},
        }

    async def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate in one call; words that it does not know stay as they are.

        Raises:
            TooManyTranslationsError: More calls in a minute than the service takes.
        """
        now = time.monotonic()
        while self._recent and self._recent[0] < now - MINUTE_SECONDS:
            self._recent.popleft()
        if len(self._recent) >= self._calls_per_minute:
            raise TooManyTranslationsError
        self._recent.append(now)
        self.calls += 1
        await asyncio.sleep(self._delay_seconds)
        known = self._words.get((source, target), {})
        return [WORD.sub(lambda word: known.get(word[0].lower(), word[0]), text) for text in texts]
