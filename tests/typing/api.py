"""What type checkers make of the public surface. Never run: `mypy --strict` and pyright (strict) read it.

Every ``type: ignore`` here is an assertion: both complain about one that they do not need.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, assert_type

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session as SyncSession

from langcache_cli.caching import (
    Cache,
    CachedFunction,
    CachedSyncFunction,
    CacheStats,
    CallRecord,
    after_commit,
    cached,
    cached_many,
    close_redis_client,
    get_cache_stats,
    get_redis_client,
    invalidate_cache,
    invalidates,
)
from langcache_cli.caching.sync import invalidate_tags
from langcache_cli.caching.tooling import CacheReport


class Session: ...


class Translator: ...


class Word:
    lemma: str


cache = Cache()


@cached(key_prefix="vocabulary", ttl=60)
async def get_word(word_id: int, db: Session, *, language: str = "de") -> Word | None: ...


@cache.cached(key_prefix="translation", key="{text}", ignore=["hint"])
async def translate(text: str, hint: str = "") -> str:
    raise NotImplementedError


@cached(key_prefix="vocabulary", ttl=timedelta(hours=1), stale_ttl="1d", local_ttl="30s", max_bytes=100_000)
async def get_rare_word(word_id: int) -> Word | None: ...


@cached(key_prefix="vocabulary", ttl=lambda word: "1h" if word else None)
async def get_new_word(word_id: int) -> Word | None: ...


class Service:
    @cached(key_prefix="vocabulary")
    async def get_word(self, word_id: int, db: Session) -> Word | None: ...

    @staticmethod
    @cached(key_prefix="vocabulary")
    async def levels(language: str) -> list[str]:
        raise NotImplementedError


async def calls_keep_their_types(db: Session) -> None:
    assert_type(await get_word(7, db), Word | None)
    assert_type(await get_word(word_id=7, db=db, language="fr"), Word | None)
    assert_type(await translate("Haus"), str)
    assert_type(await get_word.refresh(7, db), Word | None)
    assert_type(await get_word.uncached(7, db), Word | None)
    plain: Callable[[str], Coroutine[Any, Any, str]] = translate
    assert_type(await plain("Haus"), str)


async def methods_are_bound(service: Service, db: Session) -> None:
    assert_type(await service.get_word(7, db), Word | None)
    assert_type(await Service.get_word(service, 7, db), Word | None)
    assert_type(await service.get_word.refresh(7, db=db), Word | None)
    assert_type(await service.get_word.invalidate(7, db), bool)
    assert_type(await Service.levels("de"), list[str])


async def wrong_arguments_are_rejected(service: Service, db: Session) -> None:
    await get_word("7", db)  # type: ignore[arg-type]
    await get_word(7, "db")  # type: ignore[arg-type]
    await get_word(7, db, language=1)  # type: ignore[arg-type]
    await get_word(7)  # type: ignore[call-arg]
    await get_word(7, db, "fr")  # type: ignore[call-arg]
    await get_word(7, db, lang="fr")  # type: ignore[call-arg]
    await get_word.refresh("7", db)  # type: ignore[arg-type]
    await get_word.refresh(word_id=7)  # type: ignore[call-arg]
    await service.get_word("7", db)  # type: ignore[arg-type]
    await service.get_word(service, 7, db)  # type: ignore[call-arg, arg-type]
    await service.get_word.refresh(7)  # type: ignore[call-arg]
    number: int = await translate("Haus")  # type: ignore[assignment]
    assert number


async def keys_need_no_session(service: Service, db: Session) -> None:
    assert_type(await get_word.invalidate(word_id=7), bool)
    assert_type(await get_word.invalidate(7, db), bool)
    assert_type(get_word.key_for(word_id=7), str)
    assert_type(get_word.key_for(7, db, language="fr"), str)
    assert_type(await service.get_word.invalidate(word_id=7), bool)
    assert_type(Service.get_word.key_for(word_id=7), str)
    get_word.key_for("7", db)  # type: ignore[call-overload]
    await get_word.invalidate("7", db)  # type: ignore[call-overload]


def options_have_types() -> None:
    @cached(key_prefix=1)  # type: ignore[arg-type]
    async def get_levels() -> list[str]:
        raise NotImplementedError

    @cached(key_prefix="vocabulary", ttl=b"60")  # type: ignore[arg-type]
    async def get_genders() -> list[str]:
        raise NotImplementedError


@cached_many(translate, each="texts")
async def translate_all(texts: list[str], translator: Translator) -> list[str]:
    raise NotImplementedError


@cached_many(translate, each="texts")
async def translate_what_can_be(texts: list[str]) -> list[str | Exception]:
    raise NotImplementedError


@cached_many(translate, each="texts")  # type: ignore[arg-type]
async def translate_to_numbers(texts: list[str]) -> list[int]:
    raise NotImplementedError


@cached_many(translate, each="texts")
async def translate_by_text(texts: list[str]) -> dict[str, str]:
    raise NotImplementedError


async def calls_for_many(translator: Translator) -> None:
    assert_type(await translate_all(["Haus"], translator), list[str])
    assert_type(await translate_what_can_be(["Haus"]), list[str])
    assert_type(await translate_by_text(["Haus"]), list[str])
    assert_type(await translate_all.invalidate(texts=["Haus"]), int)
    await translate_all("Haus", translator)  # type: ignore[arg-type]
    await translate_all(["Haus"])  # type: ignore[call-arg]


@get_word.warmer
async def frequent_words() -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    yield [{"word_id": 1}]


async def transactions(session: AsyncSession) -> None:
    assert_type(after_commit(session, "cache:vocabulary:get_word:1", tags=["word:1"]), None)
    after_commit(Session())  # type: ignore[arg-type]


@invalidates(get_word.where(db=None), translate, tags=("word:{word_id}", "user:{result}"))
async def edit_word(word_id: int, text: str, hint: str, language: str, db: AsyncSession) -> str:
    raise NotImplementedError


class Writer:
    @cache.invalidates(types=("vocabulary",), session="{self.db}")
    def edit(self, word_id: int) -> bool:
        raise NotImplementedError


async def functions_that_write_keep_their_types(writer: Writer, db: AsyncSession) -> None:
    assert_type(await edit_word(7, "Haus", "", "de", db), str)
    assert_type(writer.edit(7), bool)
    await edit_word("7", "Haus", "", "de", db)  # type: ignore[arg-type]
    writer.edit("7")  # type: ignore[arg-type]


async def blocks(db: Session) -> None:
    with cache.traced() as trace, cache.refreshing():
        await get_word(7, db)
    assert_type(trace, list[CallRecord])
    assert_type(trace[0].seconds, float)
    async with cache.bypassed() as nothing:
        assert_type(nothing, None)
    assert_type(cache.observe(trace.append), Callable[[], None])


@cached(key_prefix="vocabulary")
def find_word(word_id: int, db: SyncSession, *, language: str = "de") -> Word | None: ...


class SyncService:
    @cache.cached(key_prefix="vocabulary")
    def get_word(self, word_id: int) -> Word | None: ...


def synchronous_calls(db: SyncSession, service: SyncService) -> None:
    function: CachedSyncFunction[[int], Word | None] = service.get_word
    assert_type(function(7), Word | None)
    assert_type(find_word(7, db), Word | None)
    assert_type(find_word.refresh(7, db, language="fr"), Word | None)
    assert_type(find_word.uncached(7, db), Word | None)
    assert_type(find_word.invalidate(word_id=7), bool)
    assert_type(find_word.key_for(word_id=7), str)
    assert_type(service.get_word(7), Word | None)
    assert_type(SyncService.get_word(service, 7), Word | None)
    assert_type(service.get_word.invalidate(7), bool)
    assert_type(translate.sync("Haus"), str)
    assert_type(translate.sync.refresh("Haus", hint=""), str)
    assert_type(translate.sync.invalidate("Haus"), bool)
    assert_type(invalidate_tags("word:7"), int)
    assert_type(cache.sync.set("a", 1, ttl=0.5), bool)
    assert_type(cache.sync.stats(), CacheStats)
    find_word("7", db)  # type: ignore[arg-type]
    find_word(7)  # type: ignore[call-arg]
    find_word.refresh(7)  # type: ignore[call-arg]
    service.get_word("7")  # type: ignore[arg-type]
    translate.sync(7)  # type: ignore[arg-type]
    after_commit(db, tags=["word:7"])


async def a_plain_function_is_not_awaited(db: SyncSession) -> None:
    await find_word(7, db)  # type: ignore[misc]


async def the_rest() -> None:
    assert_type(translate, CachedFunction[[str, str], str])  # type: ignore[assert-type]
    assert_type(await invalidate_cache("cache:*"), int)
    assert_type(await get_cache_stats(), CacheStats)
    assert_type(await get_redis_client(), Redis)
    assert_type(await close_redis_client(), None)
    async with cache as opened:
        assert_type(opened, Cache)
        assert_type(await opened.get("a"), Any)
        assert_type(await opened.set("a", 1, ttl=0.5), bool)
        assert_type(await opened.set("a", 1, ttl="30m"), bool)
        assert_type(await opened.report(), CacheReport)
