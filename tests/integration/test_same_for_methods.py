"""Cached methods: with the cache and without, the answers are the same."""

from typing import Any

from langcache_cli.caching import Cache


async def test_methods_of_base_classes_and_classmethods(compare):
    async def program(cache: Cache) -> Any:
        class Repository:
            table = "none"

            @cache.cached(key_prefix="vocabulary")
            async def get(self, number: int) -> str:
                return f"{self.table} {number}"

            @classmethod
            @cache.cached(key_prefix="vocabulary_stats")
            async def describe(cls, number: int = 0) -> str:
                return f"{cls.__name__} {cls.table} {number}"

            @staticmethod
            @cache.cached(key_prefix="vocabulary_level")
            async def plain(text: str) -> str:
                return f"plain {text}"

        class Words(Repository):
            table = "words"

            async def get_twice(self, number: int) -> list[str]:
                return [await self.get(number), await super().get(number)]

        class Videos(Repository):
            table = "videos"

            @cache.cached(key_prefix="episodes")
            async def get(self, number: int) -> str:
                return f"own {await super().get(number)}"

        answers: list[Any] = []
        for _ in range(2):
            for kind in (Repository, Words, Videos):
                answers += [await kind().get(1), await kind().get(number=2)]
                answers += [await kind.describe(), await kind().describe(3), await kind.plain("x")]
            answers.append(await Words().get_twice(1))
            Words.table = "more words"
            await cache.invalidate("cache:*")
        return answers

    await compare(program)
