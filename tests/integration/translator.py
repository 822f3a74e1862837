"""An origin for calls of many items: it translates by writing backwards, and counts what it is asked for."""

from collections import Counter
from collections.abc import Sequence

from langcache_cli.caching import cached_many
from tests.integration.cache_support import Gate


class Translator:
    """Translates by writing backwards; every text that it is asked for is counted."""

    def __init__(self, cache, *, held: bool = False, **options) -> None:
        self.texts: Counter[str] = Counter()
        self.batches: list[list[str]] = []
        self.gate = Gate(is_open=not held)
        self.failing: set[str] = set()
        self.error: Exception | None = None

        @cache.cached(key_prefix="translation", **options)
        async def translate(text: str, source: str, target: str = "de") -> str:
            return (await self._translate([text]))[0]

        @cached_many(translate, each="texts")
        async def translate_batch(
            texts: Sequence[str], source: str, target: str = "de"
        ) -> Sequence[str | Exception]:
            self.batches.append(list(texts))
            return await self._translate(texts)

        self.one, self.many = translate, translate_batch

    async def _translate(self, texts: Sequence[str]) -> list[str | Exception]:
        self.texts.update(texts)
        await self.gate()
        if self.error is not None:
            raise self.error
        return [ValueError(text) if text in self.failing else text[::-1] for text in texts]


TEXTS = [f"text {number}" for number in range(200)]


def backwards(texts):
    return [text[::-1] for text in texts]
